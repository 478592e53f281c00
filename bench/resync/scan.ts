// A 2 GiB image of random bytes and a replica in which 1 % is other, both in the page cache. The digests of the replica are
// made before, as the service does; then the source side compares. In the same rounds: reading alone, `sha256sum`, and `rdiff
// delta` against a signature made before, which is the peer with stored digests. Peers that are missing are left out.
import { execFile } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { joinExtents } from '../../agent/extents.ts';
import { openFileSource } from '../../agent/fileSource.ts';
import { compareDisk, type DiskComparison } from '../../agent/resync/compareDisk.ts';
import { JournalFile } from '../../agent/resync/comparisonJournal.ts';
import { writeResyncLog } from '../../agent/resync/resyncLog.ts';
import type { DigestsClient } from '../../agent/resync/segmentDifference.ts';
import { allocatedReader } from '../../agent/resync/sourceView.ts';
import { readSequentially } from '../../lib/disk/sequential.ts';
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import { digestsWithin } from '../../lib/resync/blockDigests.ts';
import { coarseBlockBytes, fineBlockBytes, segmentBlocks, segmentCount } from '../../lib/resync/blocks.ts';
import { encodeCoarse, encodeFine } from '../../lib/resync/digestFormat.ts';
import { digestSpan } from '../../lib/resync/spanDigests.ts';
import { randomChanges } from '../generatedChanges.ts';
import { median, type Measurement } from '../measurements.ts';

const run = promisify(execFile);
const diskBytes = 2 * 2 ** 30;
const chunkBytes = 64 * 2 ** 20;
const roundCount = 5;
const scope = { item: 'vm', disk: 'os', generation: 'bench' };

interface Images {
  folder: string;
  source: string;
  replica: string;
  signature: string;
}

export async function benchScan(progress: (line: string) => void): Promise<Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-resync-'));
  const at = (name: string): string => join(folder, name);
  const images = { folder, source: at('source.raw'), replica: at('replica.raw'), signature: at('signature') };
  try {
    progress('making two images of 2 GiB');
    await makeImages(images);
    const hasRdiff = await succeeds(() => run('rdiff', ['signature', images.replica, images.signature]));
    return await measure(images, hasRdiff, progress);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function makeImages({ source, replica }: Images): Promise<void> {
  const image = await open(replica, 'w');
  const chunk = new Uint8Array(chunkBytes);
  for (let offset = 0; offset < diskBytes; offset += chunkBytes)
    await image.write(randomFillSync(chunk), 0, chunkBytes, offset);
  await image.close();
  copyFileSync(replica, source);
  const copy = await open(source, 'r+');
  for (const { offsetBytes, lengthBytes } of joinExtents(randomChanges(diskBytes, diskBytes / 100, 3)))
    await copy.write(randomFillSync(chunk.subarray(0, lengthBytes)), 0, lengthBytes, offsetBytes);
  await copy.close();
}

/** Answers from the replica's file; coarse digests are made before, and answers are counted. */
async function clientOf(replica: RandomAccessSource, count: (bytes: number) => void): Promise<DigestsClient> {
  const manifests: Uint8Array[] = [];
  for (let segment = 0; segment < segmentCount(diskBytes); segment++) {
    const { digests } = await digestSpan(allocatedReader(replica), segmentBlocks(diskBytes, segment));
    manifests.push(encodeCoarse({ scope, diskSizeBytes: diskBytes, segment }, digests));
  }
  const counted = <T extends Uint8Array>(answer: T): T => {
    count(answer.length);
    return answer;
  };
  return {
    coarseSegment: async (segment) => counted(manifests[segment] ?? new Uint8Array(0)),
    async fine(coarseBlocks) {
      const digests: Uint8Array[] = [];
      for (const block of coarseBlocks) {
        const bytes = await replica.read(block * coarseBlockBytes, coarseBlockBytes);
        digests.push(digestsWithin(bytes, fineBlockBytes));
      }
      return counted(encodeFine({ scope, diskSizeBytes: diskBytes, coarseBlocks }, Buffer.concat(digests)));
    },
  };
}

async function measure(
  { folder, source, replica, signature }: Images,
  hasRdiff: boolean,
  progress: (line: string) => void,
): Promise<Measurement[]> {
  await using changed = await openFileSource(source);
  await using old = await openFileSource(replica);
  let answerBytes = 0;
  const client = await clientOf(old, (bytes) => (answerBytes += bytes));
  const seconds = {
    compare: [] as number[],
    read: [] as number[],
    sha256: [] as number[],
    rdiff: [] as number[],
  };
  let comparison: DiskComparison | undefined;
  for (let round = 1; round <= roundCount; round++) {
    progress(`round ${round} of ${roundCount}`);
    answerBytes = 0;
    await using journal = new JournalFile(join(folder, `journal-${round}`));
    const options = { scope, sourceId: 'bench', journal };
    seconds.compare.push(await timed(async () => (comparison = await compareDisk(changed, client, options))));
    seconds.read.push(await timed(() => readAll(changed)));
    if (await succeeds(async () => seconds.sha256.push(await timed(() => run('sha256sum', [source])))))
      progress(`compared in ${seconds.compare.at(-1)?.toFixed(2) ?? '?'} s`);
    const delta = join(folder, `delta-${round}`);
    if (hasRdiff) seconds.rdiff.push(await timed(() => run('rdiff', ['delta', signature, source, delta])));
  }
  if (comparison === undefined) throw new Error('Nothing was compared.');
  const logOptions = { uniqueId: crypto.randomUUID(), createdAt: new Date() };
  const log = await writeResyncLog(join(folder, 'resync.hrl'), changed, comparison, logOptions);
  return summarize(seconds, {
    log: log.sizeBytes / comparison.differingBytes,
    all: (log.sizeBytes + answerBytes) / comparison.differingBytes,
  });
}

async function readAll(source: RandomAccessSource): Promise<void> {
  let bytesRead = 0;
  for await (const { bytes } of readSequentially(source, 4 * 2 ** 20)) bytesRead += bytes.length;
  if (bytesRead !== diskBytes) throw new Error('The image was not read whole.');
}

function summarize(
  { compare, ...peers }: Record<'compare' | 'read' | 'sha256' | 'rdiff', number[]>,
  shipped: { log: number; all: number },
): Measurement[] {
  const results: Measurement[] = [
    {
      what: 'compare an image with digests',
      value: 2 / median(compare),
      unit: 'GiB/s',
      detail: `median of ${roundCount}, 2 GiB, 1 % changed in writes of 4 to 64 KiB`,
    },
  ];
  const names = { read: 'reading alone, one read ahead', sha256: 'sha256sum', rdiff: 'rdiff delta' };
  for (const peer of ['read', 'sha256', 'rdiff'] as const) {
    const rounds = peers[peer];
    if (rounds.length === 0) continue;
    const value = median(rounds.map((peerSeconds, round) => peerSeconds / (compare[round] ?? 0)));
    results.push({
      what: `${names[peer]} / compare`,
      value,
      unit: '×',
      detail: 'seconds, median of the ratios',
    });
  }
  results.push(
    { what: 'log / changed 4 KiB blocks', value: shipped.log, unit: '×', detail: 'bytes uploaded' },
    {
      what: 'log and digests / changed 4 KiB blocks',
      value: shipped.all,
      unit: '×',
      detail: 'bytes both ways',
    },
  );
  return results;
}

async function timed(step: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await step();
  return (performance.now() - startedAt) / 1000;
}

async function succeeds(step: () => Promise<unknown>): Promise<boolean> {
  try {
    await step();
    return true;
  } catch {
    return false;
  }
}
