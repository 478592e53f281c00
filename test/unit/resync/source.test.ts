// The source's side: what it believes, what it keeps, and when it starts again.
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { logMetadata } from '../../../agent/upload/uploadLog.ts';
import { compareDisk, type CompareProgress, type DiskComparison } from '../../../agent/resync/compareDisk.ts';
import { JournalFile, type JournalEntry } from '../../../agent/resync/comparisonJournal.ts';
import { publishDigests } from '../../../agent/resync/publishDigests.ts';
import { writeResyncLog } from '../../../agent/resync/resyncLog.ts';
import type { DigestsClient } from '../../../agent/resync/segmentDifference.ts';
import { openFileSource } from '../../../agent/fileSource.ts';
import { readHrlHeader } from '../../../lib/hrl/reader.ts';
import { maxFineBlocks } from '../../../lib/resync/digestFormat.ts';
import { acceptManifest, findManifest } from '../../../lib/resync/manifests.ts';
import { manifestName, scrubScopes } from '../../../lib/resync/names.ts';
import { judgeScrub } from '../../../lib/resync/scrub.ts';
import { startDigestChain } from '../../../lib/resync/digestChain.ts';
import { ComparedDisk, day, inFolder, replica, scope } from '../../resync/comparedDisk.ts';
import { codeOfRejected } from '../../resync/thrown.ts';

const gib = 1024 ** 3;
const mib = 1024 ** 2;
const logOptions = { uniqueId: 'aaaaaaaa-1111-2222-3333-bbbbbbbbbbbb', createdAt: day };

/** Three segments, each with one difference, digested. */
async function threeSegments(): Promise<ComparedDisk> {
  const disk = await ComparedDisk.create(3 * gib);
  for (const segment of [0, 1, 2]) {
    await disk.writeBoth({ sector: (segment * gib) / 512 + 100, sectors: 50, seed: 1 + segment });
    await disk.writeSource({ sector: (segment * gib) / 512 + 120, sectors: 3, seed: 7 });
  }
  await disk.digest();
  return disk;
}

const extentsOf = ({ segments }: DiskComparison) => segments.flatMap(({ extents }) => extents);

describe('comparing', () => {
  it('waits for a segment that the service has not digested yet', async () => {
    const disk = await threeSegments();
    const inner = disk.client();
    let pendingAnswers = 4;
    const client: DigestsClient = {
      ...inner,
      coarseSegment: async (segment) => (pendingAnswers-- > 0 ? 'pending' : inner.coarseSegment(segment)),
    };
    const found = await inFolder(async (folder) => {
      await using journal = new JournalFile(join(folder, 'journal'));
      return await compareDisk(disk.view({ knowsHoles: true }), client, {
        scope,
        sourceId: 'view-1',
        journal,
        pollDelayMs: 1,
      });
    });
    expect(extentsOf(found).map(({ lengthBytes }) => lengthBytes)).toEqual([4096, 4096, 4096]);
    expect(found.blocksCompared).toBe(3 * 4096);
  });

  it('stops waiting when it is told to', async () => {
    const disk = await ComparedDisk.create(mib);
    const reason = new Error('enough');
    const signal = AbortSignal.abort(reason);
    await expect(disk.compare({ signal, pollDelayMs: 60_000 })).rejects.toBe(reason);
    const later = new AbortController();
    const comparing = disk.compare({ signal: later.signal, pollDelayMs: 60_000 });
    setImmediate(() => later.abort(reason));
    await expect(comparing).rejects.toBe(reason);
  });

  it('refuses digests that are damaged, of another disk, or that contradict each other', async () => {
    const disk = await threeSegments();
    const { resync } = disk.storage;
    const good = (await findManifest(resync, { scope, segment: 1 }))!;
    await resync.put(manifestName(scope, 1), good.slice(0, -1));
    expect(await codeOfRejected(disk.compare())).toBe('DigestsInvalid');
    await resync.put(manifestName(scope, 1), (await findManifest(resync, { scope, segment: 0 }))!);
    expect(await codeOfRejected(disk.compare())).toBe('DigestsForeign');
    await resync.put(manifestName(scope, 1), good);
    await disk.writeReplica({ sector: 120, sectors: 3, seed: 7 });
    expect(await codeOfRejected(disk.compare())).toBe('DigestsContradict');
  });

  it('asks for the fine digests of any number of blocks, 256 at a time', async () => {
    const disk = await ComparedDisk.create(200 * mib);
    const differing = 600;
    for (let block = 0; block < differing; block++)
      await disk.writeSource({ sector: block * 512 + 8 * (block % 63), sectors: 1, seed: 3 });
    await disk.digest();
    const inner = disk.client();
    const asked: number[] = [];
    const client: DigestsClient = {
      ...inner,
      fine: async (blocks) => {
        asked.push(blocks.length);
        return inner.fine(blocks);
      },
    };
    await inFolder(async (folder) => {
      await using journal = new JournalFile(join(folder, 'journal'));
      const options = { scope, sourceId: 'view-1', journal };
      const found = await compareDisk(disk.view({ knowsHoles: true }), client, options);
      expect(asked).toEqual([maxFineBlocks, maxFineBlocks, differing - 2 * maxFineBlocks]);
      expect(extentsOf(found)).toEqual(
        Array.from({ length: differing }, (_, block) => ({
          offsetBytes: block * 262_144 + 4096 * (block % 63),
          lengthBytes: 4096,
        })),
      );
    });
  });

  it('ends a part when enough differs, and goes on from there', async () => {
    const disk = await threeSegments();
    const first = await disk.compare({ maxDifferingBytes: 8192 });
    expect(first).toMatchObject({ isComplete: false, endSegment: 2, differingBytes: 8192 });
    const second = await disk.compare({ firstSegment: first.endSegment });
    expect(second).toMatchObject({ isComplete: true, firstSegment: 2, endSegment: 3 });
    const view = disk.view({ knowsHoles: true });
    await inFolder(async (folder) => {
      for (const [index, part] of [first, second].entries()) {
        const path = join(folder, `${index}.hrl`);
        await writeResyncLog(path, view, part, logOptions);
        await disk.merge(path);
      }
    });
    expect(await disk.differingFineBlocks()).toEqual([]);
  });

  it('shows how far it is', async () => {
    const disk = await threeSegments();
    const seen: CompareProgress[] = [];
    await disk.compare({ onProgress: (progress) => seen.push(progress) });
    expect(
      seen.map(({ percent, bytesCompared, differingBytes }) => [percent, bytesCompared, differingBytes]),
    ).toEqual([
      [33, gib, 4096],
      [66, 2 * gib, 8192],
      [100, 3 * gib, 12_288],
    ]);
    expect(seen.map(({ bytesTotal }) => bytesTotal)).toEqual([3 * gib, 3 * gib, 3 * gib]);
    expect(seen.at(-1)?.remainingMs).toBe(0);
  });

  it('publishes the source digests on the way: after the merge a scrub needs only the snapshot', async () => {
    const disk = await threeSegments();
    const { storage, diskSizeBytes } = disk;
    const scopes = scrubScopes(scope.item, scope.disk, 'after-resync');
    const published = await disk.compare({
      publish: {
        scope: scopes.source,
        put: (segment, manifest) =>
          acceptManifest(storage.resync, { scope: scopes.source, diskSizeBytes, segment }, manifest),
      },
    });
    await inFolder(async (folder) => {
      const path = join(folder, 'resync.hrl');
      await writeResyncLog(path, disk.view({ knowsHoles: true }), published, logOptions);
      await disk.merge(path);
    });
    const snapshotId = await storage.replicas.snapshot(replica, {});
    await disk.digest(startDigestChain(scopes.replica, diskSizeBytes, { snapshotId }, day));
    expect(await judgeScrub(storage.resync, scopes, diskSizeBytes, day)).toMatchObject({
      verdict: 'equal',
      differingBlocks: 0,
      differingRanges: [],
      blocksCompared: 3 * 4096,
    });
  });
});

describe('the journal', () => {
  const identity = { ...scope, sourceId: 'view-1', diskSizeBytes: 3 * gib + 512, firstSegment: 0 };
  const entryOf = (segment: number): JournalEntry => ({
    segment,
    extents: [
      { offsetBytes: segment * gib, lengthBytes: 8192 },
      segment === 3
        ? { offsetBytes: 3 * gib, lengthBytes: 512 }
        : { offsetBytes: segment * gib + 65_536, lengthBytes: 4096 },
    ].slice(segment === 3 ? 1 : 0),
    contentSha256: 'ab'.repeat(32),
    bytesRead: 5,
    bytesSkipped: 6,
    activeMs: 7.5,
  });
  const entries = [0, 1, 2, 3].map(entryOf);

  /** A journal with all entries, and the length of the file after each. */
  async function written(path: string): Promise<number[]> {
    await using journal = new JournalFile(path);
    expect(await journal.begin(identity)).toEqual([]);
    const ends = [(await readFile(path)).length];
    for (const entry of entries) {
      await journal.append(entry);
      ends.push((await readFile(path)).length);
    }
    return ends;
  }

  it('gives back what was recorded, wherever it was cut, and goes on after it', async () => {
    await inFolder(async (folder) => {
      const path = join(folder, 'journal');
      const ends = await written(path);
      const whole = await readFile(path);
      for (let length = 0; length <= whole.length; length += 19) {
        await writeFile(path, whole.subarray(0, length));
        await using journal = new JournalFile(path);
        const known = await journal.begin(identity);
        expect([length, known]).toEqual([
          length,
          entries.slice(0, ends.filter((end, index) => index > 0 && end <= length).length),
        ]);
        for (const entry of entries.slice(known.length)) await journal.append(entry);
        expect((await readFile(path)).equals(whole)).toBe(true);
      }
    });
  });

  it('believes nothing from the first damaged byte on', async () => {
    await inFolder(async (folder) => {
      const path = join(folder, 'journal');
      const ends = await written(path);
      const whole = await readFile(path);
      for (let at = 0; at < whole.length; at += 11) {
        const damaged = Buffer.from(whole);
        damaged[at] = (damaged[at] ?? 0) ^ 0x04;
        await writeFile(path, damaged);
        await using journal = new JournalFile(path);
        const sound = ends.filter((end, index) => index > 0 && end <= at).length;
        expect([at, await journal.begin(identity)]).toEqual([at, entries.slice(0, sound)]);
      }
      // A file system may leave zeros where the last line should be.
      await writeFile(path, whole);
      await truncate(path, whole.length + 4096);
      await using journal = new JournalFile(path);
      expect(await journal.begin(identity)).toEqual(entries);
      expect((await readFile(path)).equals(whole)).toBe(true);
    });
  });

  it.each([
    ['source view', { sourceId: 'view-2' }],
    ['generation', { generation: 'g-2' }],
    ['disk', { disk: 'data' }],
    ['item', { item: 'vm-2' }],
    ['size', { diskSizeBytes: 3 * gib + 1024 }],
    ['part', { firstSegment: 1 }],
  ])('of another %s is forgotten', async (_, change) => {
    await inFolder(async (folder) => {
      const path = join(folder, 'journal');
      await written(path);
      {
        await using journal = new JournalFile(path);
        expect(await journal.begin({ ...identity, ...change })).toEqual([]);
      }
      await using journal = new JournalFile(path);
      expect(await journal.begin(identity)).toEqual([]);
    });
  });

  it('that cannot be written or read says so', async () => {
    await inFolder(async (folder) => {
      await using missing = new JournalFile(join(folder, 'none', 'journal'));
      expect(await codeOfRejected(missing.begin(identity))).toBe('OutputUnwritable');
      await using directory = new JournalFile(folder);
      expect(await codeOfRejected(directory.begin(identity))).toBe('FileUnreadable');
    });
  });

  it('saves the segments that were compared before, and says how many', async () => {
    const disk = await threeSegments();
    await inFolder(async (folder) => {
      const path = join(folder, 'journal');
      const compare = async (sourceId: string, maxDifferingBytes: number) => {
        await using journal = new JournalFile(path);
        const options = { scope, sourceId, journal, maxDifferingBytes };
        return await compareDisk(disk.view({ knowsHoles: true }), disk.client(), options);
      };
      expect((await compare('view-1', 8192)).resumedSegments).toBe(0);
      expect(await compare('view-1', Infinity)).toMatchObject({ resumedSegments: 2, isComplete: true });
      expect(await compare('view-2', Infinity)).toMatchObject({ resumedSegments: 0, isComplete: true });
    });
  });
});

describe('the log of a resynchronization', () => {
  it('is a log without predecessor, of kind resync', async () => {
    const disk = await threeSegments();
    const comparison = await disk.compare();
    await inFolder(async (folder) => {
      const path = join(folder, 'resync.hrl');
      const log = await writeResyncLog(path, disk.view({ knowsHoles: true }), comparison, logOptions);
      expect(log).toMatchObject({ entryCount: 3, dataBytes: 3 * 4096 });
      await using file = await openFileSource(path);
      const header = await readHrlHeader(file);
      expect(header.previousUniqueId).toBe('00000000-0000-0000-0000-000000000000');
      expect(logMetadata({ sha256: log.sha256, kind: 'resync' })).toEqual({
        sha256: log.sha256,
        kind: 'resync',
      });
    });
  });

  it('is not made when the source is another one than was compared', async () => {
    const disk = await threeSegments();
    const comparison = await disk.compare();
    await disk.writeSource({ sector: (2 * gib) / 512 + 121, sectors: 1, seed: 8 });
    await inFolder(async (folder) => {
      const path = join(folder, 'resync.hrl');
      const write = (view = disk.view({ knowsHoles: true })) =>
        codeOfRejected(writeResyncLog(path, view, comparison, logOptions));
      expect(await write()).toBe('SourceChanged');
      const grown = await ComparedDisk.create(3 * gib + 512);
      expect(await write(grown.view({ knowsHoles: true }))).toBe('DiskSizeMismatch');
      await expect(readFile(path)).rejects.toThrow('ENOENT');
    });
  });

  it('of equal disks is empty and valid', async () => {
    const disk = await ComparedDisk.create(5 * mib);
    await disk.writeBoth({ sector: 1, sectors: 900, seed: 1 });
    await disk.digest();
    const comparison = await disk.compare();
    expect(comparison).toMatchObject({ differingBytes: 0, isComplete: true });
    await inFolder(async (folder) => {
      const path = join(folder, 'resync.hrl');
      const log = await writeResyncLog(path, disk.view({ knowsHoles: true }), comparison, logOptions);
      expect(log.entryCount).toBe(0);
      await disk.merge(path);
    });
  });
});

describe('publishing digests', () => {
  it('goes on at any segment and says what it read', async () => {
    const disk = await threeSegments();
    const published: number[] = [];
    const shown: number[] = [];
    const result = await publishDigests(disk.view({ knowsHoles: true }), {
      scope,
      firstSegment: 1,
      put: async (segment) => {
        published.push(segment);
      },
      onProgress: ({ segmentsDone }) => shown.push(segmentsDone),
    });
    expect(published).toEqual([1, 2]);
    expect(shown).toEqual([2, 3]);
    expect(result.segmentsPublished).toBe(2);
    expect(result.bytesRead + result.bytesSkipped).toBe(2 * gib);
  });
});
