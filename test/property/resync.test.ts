// What resynchronization promises, for random pairs of disks: after the merge of its log the replica is the source, no
// more is shipped than differs, nothing is read that was never written, and an interruption anywhere changes nothing.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareDisk, type DiskComparison } from '../../agent/resync/compareDisk.ts';
import { JournalFile, type ComparisonJournal } from '../../agent/resync/comparisonJournal.ts';
import { publishDigests } from '../../agent/resync/publishDigests.ts';
import { writeResyncLog } from '../../agent/resync/resyncLog.ts';
import { maxHoleBytes } from '../../lib/resync/allocatedBlocks.ts';
import { advanceDigestChain, isDigested, startDigestChain } from '../../lib/resync/digestChain.ts';
import { acceptManifest } from '../../lib/resync/manifests.ts';
import { scrubScopes } from '../../lib/resync/names.ts';
import { judgeScrub } from '../../lib/resync/scrub.ts';
import type { ByteRange, PageBlobPort, Storage } from '../../lib/storage/ports.ts';
import { arbitraryPair, largeSize, smallSizes, type DiskPair } from '../resync/arbitraryDisks.ts';
import { ComparedDisk, day, inFolder, never, replica, scope } from '../resync/comparedDisk.ts';

const logOptions = { uniqueId: 'aaaaaaaa-1111-2222-3333-bbbbbbbbbbbb', createdAt: day, replace: true };
const header = 3 * 4096;

async function diskOf(pair: DiskPair): Promise<ComparedDisk> {
  const disk = await ComparedDisk.create(pair.diskSizeBytes);
  await disk.writeBoth(...pair.both);
  await disk.writeSource(...pair.source);
  await disk.writeReplica(...pair.replica);
  return disk;
}

function fineBlocksOf(comparison: DiskComparison): number[] {
  return comparison.segments.flatMap(({ extents }) =>
    extents.flatMap(({ offsetBytes, lengthBytes }) =>
      Array.from({ length: Math.ceil(lengthBytes / 4096) }, (_, index) => offsetBytes / 4096 + index),
    ),
  );
}

/** Compares, writes the log, merges it, and scrubs what came out. */
async function resynchronize(disk: ComparedDisk, knowsHoles: boolean): Promise<void> {
  const differing = await disk.differingFineBlocks();
  await disk.digest();
  const view = disk.view({ knowsHoles });
  const comparison = await disk.compare({ view });
  expect(fineBlocksOf(comparison)).toEqual(differing);
  expect(comparison.isComplete).toBe(true);
  await inFolder(async (folder) => {
    const path = join(folder, 'resync.hrl');
    const log = await writeResyncLog(path, view, comparison, logOptions);
    expect(log.dataBytes).toBe(comparison.differingBytes);
    expect(log.sizeBytes).toBeLessThanOrEqual(1.1 * differing.length * 4096 + header);
    await disk.merge(path);
    // What was merged before is merged again, as after a death: twice equals once.
    await disk.merge(path);
  });
  expect(await disk.differingFineBlocks()).toEqual([]);
}

describe('resynchronization', () => {
  it.each([
    ['small disks', smallSizes, 60],
    ['a disk of three segments', [largeSize], 12],
  ])(
    'makes the replica equal to the source and ships no more than differs: %s',
    async (_, sizes, numRuns) => {
      await fc.assert(
        fc.asyncProperty(arbitraryPair(sizes), async (pair) => resynchronize(await diskOf(pair), true)),
        { numRuns },
      );
    },
  );

  it('does the same for a source that does not know its holes', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryPair(smallSizes), async (pair) => resynchronize(await diskOf(pair), false)),
      { numRuns: 20 },
    );
  });

  it('reads no long hole, on neither side', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryPair([largeSize, ...smallSizes]), async (pair) => {
        const disk = await diskOf(pair);
        const replicaReads: ByteRange[] = [];
        const sourceReads: ByteRange[] = [];
        const window = { offsetBytes: 0, lengthBytes: disk.diskSizeBytes };
        const replicaRanges = await disk.storage.replicas.listRanges(replica, window);
        const view = disk.view({ knowsHoles: true, reads: sourceReads });
        const sourceRanges = await view.allocatedRanges!(window);
        const inner = { ...disk.storage.replicas };
        disk.storage.replicas.read = (name, range, snapshotId) => {
          replicaReads.push(range);
          return inner.read(name, range, snapshotId);
        };
        const state = await disk.digest();
        const comparison = await disk.compare({ view });
        expect(holesRead(replicaReads, replicaRanges)).toEqual([]);
        expect(holesRead(sourceReads, sourceRanges)).toEqual([]);
        expect(state.bytesRead + state.bytesSkipped).toBe(disk.diskSizeBytes);
        expect(comparison.bytesRead + comparison.bytesSkipped).toBe(disk.diskSizeBytes);
        // The source is read once: no byte is in two reads.
        expect(overlapping(sourceReads)).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});

/** The reads that begin or end in a hole, or have a longer one inside than a request is worth. */
function holesRead(reads: readonly ByteRange[], ranges: readonly ByteRange[]): ByteRange[] {
  return reads.filter(({ offsetBytes, lengthBytes }) => {
    const end = offsetBytes + lengthBytes;
    let at = offsetBytes;
    let longest = 0;
    for (const range of ranges) {
      const rangeEnd = range.offsetBytes + range.lengthBytes;
      if (rangeEnd <= offsetBytes || range.offsetBytes >= end) continue;
      if (at === offsetBytes && range.offsetBytes > at) return true;
      longest = Math.max(longest, range.offsetBytes - at);
      at = Math.min(rangeEnd, end);
    }
    return at !== end || longest > maxHoleBytes;
  });
}

function overlapping(reads: readonly ByteRange[]): ByteRange[] {
  const sorted = [...reads].sort((a, b) => a.offsetBytes - b.offsetBytes);
  return sorted.filter((range, index) => {
    const before = sorted[index - 1];
    return before !== undefined && before.offsetBytes + before.lengthBytes > range.offsetBytes;
  });
}

class Death extends Error {}

/** Counts the steps of a life and ends it at one of them, before or after the step took effect. */
class Life {
  #left: number;
  readonly #after: boolean;

  constructor(steps: number, after: boolean) {
    this.#left = steps;
    this.#after = after;
  }

  async step<T>(effect: () => Promise<T>): Promise<T> {
    const dies = --this.#left === 0;
    if (dies && !this.#after) throw new Death();
    const result = await effect();
    if (dies) throw new Death();
    return result;
  }

  journal(inner: ComparisonJournal): ComparisonJournal {
    return {
      begin: (identity) => this.step(() => inner.begin(identity)),
      append: (entry) => this.step(() => inner.append(entry)),
    };
  }

  storage(inner: Storage): Storage {
    const replicas: PageBlobPort = {
      ...inner.replicas,
      read: (...args) => this.step(() => inner.replicas.read(...args)),
      listRanges: (...args) => this.step(() => inner.replicas.listRanges(...args)),
      find: (...args) => this.step(() => inner.replicas.find(...args)),
    };
    const put: Storage['resync']['put'] = (...args) => this.step(() => inner.resync.put(...args));
    return { ...inner, replicas, resync: { ...inner.resync, put } };
  }
}

const arbitraryLives = fc.array(fc.tuple(fc.integer({ min: 1, max: 25 }), fc.boolean()), {
  minLength: 1,
  maxLength: 4,
});

/** Repeats a step through the given lives, and at last in one that does not end. */
async function survive<T>(
  lives: readonly (readonly [number, boolean])[],
  step: (life: Life) => Promise<T>,
): Promise<T> {
  for (const [steps, after] of lives) {
    try {
      return await step(new Life(steps, after));
    } catch (error) {
      if (!(error instanceof Death)) throw error;
    }
  }
  return step(new Life(Infinity, false));
}

describe('interruption at any step', () => {
  it('of the digest chain leaves the same manifests', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryPair([largeSize]), arbitraryLives, async (pair, lives) => {
        const disk = await diskOf(pair);
        const undisturbed = await diskOf(pair);
        const whole = await undisturbed.digest();
        let state = disk.start();
        const survived = await survive(lives, async (life) => {
          while (!isDigested(state)) {
            const storage = life.storage(disk.storage);
            const fault = (): void => undefined;
            const context = { storage, clock: { now: () => day }, fault };
            // A deadline that has passed: one segment an activity, whose state is kept.
            state = await advanceDigestChain(context, state, { deadline: new Date(0) });
          }
          return state;
        });
        expect(survived).toEqual(whole);
        expect(await manifestsOf(disk)).toEqual(await manifestsOf(undisturbed));
      }),
      { numRuns: 15 },
    );
  });

  it('of the comparison gives the same log', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryPair([largeSize, 9 * 1024 * 1024]), arbitraryLives, async (pair, lives) => {
        const disk = await diskOf(pair);
        await disk.digest();
        const expected = await disk.compare();
        await inFolder(async (folder) => {
          const found = await survive(lives, async (life) => {
            await using file = new JournalFile(join(folder, 'journal'));
            const view = disk.view({ knowsHoles: true });
            const inner = disk.client();
            return await compareDisk(
              { ...view, read: (...args) => life.step(() => view.read(...args)) },
              {
                coarseSegment: (segment) => life.step(() => inner.coarseSegment(segment)),
                fine: (blocks) => life.step(() => inner.fine(blocks)),
              },
              { scope, sourceId: 'view-1', journal: life.journal(file), pollDelayMs: 1 },
            );
          });
          expect(findingsOf(found)).toEqual(findingsOf(expected));
          const view = disk.view({ knowsHoles: true });
          const paths = [join(folder, 'a.hrl'), join(folder, 'b.hrl')] as const;
          await writeResyncLog(paths[0], view, found, logOptions);
          await writeResyncLog(paths[1], view, expected, logOptions);
          expect(Buffer.compare(await readFile(paths[0]), await readFile(paths[1]))).toBe(0);
        });
      }),
      { numRuns: 25 },
    );
  });
});

function findingsOf({ segments, ...rest }: DiskComparison) {
  const found = segments.map(({ segment, extents, contentSha256, bytesRead, bytesSkipped }) => ({
    segment,
    extents,
    contentSha256,
    bytesRead,
    bytesSkipped,
  }));
  return { ...rest, resumedSegments: undefined, segments: found };
}

async function manifestsOf({ storage }: ComparedDisk): Promise<[string, string][]> {
  const manifests: [string, string][] = [];
  for await (const { name, sizeBytes, etag } of storage.resync.list('')) {
    const bytes = await storage.resync.read(name, { offsetBytes: 0, lengthBytes: sizeBytes }, etag);
    manifests.push([name, Buffer.from(bytes).toString('base64')]);
  }
  return manifests;
}

describe('scrub', () => {
  it('says equal exactly when the snapshot is the source, and names the blocks that are not', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryPair([largeSize, ...smallSizes]), async (pair) => {
        const disk = await diskOf(pair);
        const { storage, diskSizeBytes } = disk;
        const snapshotId = await storage.replicas.snapshot(replica, {});
        const differing = await disk.differingFineBlocks();
        // The replica goes on; the verdict is about the snapshot.
        await disk.writeReplica({ sector: 0, sectors: 1, seed: 77 });
        const scopes = scrubScopes(scope.item, scope.disk, '7');
        await publishDigests(disk.view({ knowsHoles: true }), {
          scope: scopes.source,
          put: (segment, manifest) =>
            acceptManifest(storage.resync, { scope: scopes.source, diskSizeBytes, segment }, manifest),
        });
        await disk.digest(startDigestChain(scopes.replica, diskSizeBytes, { snapshotId }, day));
        const verdict = await judgeScrub(storage.resync, scopes, diskSizeBytes, never);
        const coarse = [...new Set(differing.map((block) => Math.floor(block / 64)))];
        expect(verdict.verdict).toBe(coarse.length === 0 ? 'equal' : 'different');
        expect(verdict.rootDigest === verdict.sourceRootDigest).toBe(coarse.length === 0);
        expect(verdict.differingBlocks).toBe(coarse.length);
        const named = verdict.differingRanges.flatMap(({ offsetBytes, lengthBytes }) =>
          Array.from({ length: Math.ceil(lengthBytes / 262144) }, (_, index) => offsetBytes / 262144 + index),
        );
        expect(named).toEqual(coarse);
        expect(verdict.blocksCompared).toBe(Math.ceil(diskSizeBytes / 262144));
      }),
      { numRuns: 30 },
    );
  });
});
