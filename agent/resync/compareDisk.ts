// Compares a frozen source with its replica, segment by segment, in the order in which the service digests them. What was
// found is in the journal before the next segment is begun: whoever starts again goes on there, if the view is the same.
import { setTimeout as sleep } from 'node:timers/promises';
import {
  blockCount,
  coarseBlockBytes,
  segmentBlocks,
  segmentCount,
  spanRange,
} from '../../lib/resync/blocks.ts';
import { encodeCoarse, parseCoarse } from '../../lib/resync/digestFormat.ts';
import type { DigestScope } from '../../lib/resync/names.ts';
import { progressOf, type ComparisonProgress } from '../../lib/resync/progress.ts';
import type { ComparisonJournal, JournalEntry } from './comparisonJournal.ts';
import { compareSegment, type DigestsClient, type SegmentDifference } from './segmentDifference.ts';
import type { SourceView } from './sourceView.ts';

/**
 * Most differing bytes after which a comparison ends early: with the segment that goes over it, the log still fits into one
 * upload (5000 MiB).
 */
const defaultMaxDifferingBytes = 3.75 * 1024 ** 3;

export interface CompareOptions {
  scope: DigestScope;
  /** Of the frozen view: another one whenever its bytes may be other ones. */
  sourceId: string;
  journal: ComparisonJournal;
  /** Where a later part begins: `endSegment` of the part before. Default 0. */
  firstSegment?: number;
  maxDifferingBytes?: number;
  /** Takes the coarse digests of the source, as a manifest of `publishScope`, so that a scrub need not read it again. */
  publish?: { scope: DigestScope; put: (segment: number, manifest: Uint8Array) => Promise<void> };
  /** Between two questions for a segment that is pending. Default 5 s. */
  pollDelayMs?: number;
  signal?: AbortSignal | undefined;
  onProgress?: (progress: CompareProgress) => void;
}

/** Over the part of the disk from `firstSegment` to its end. */
export interface CompareProgress extends ComparisonProgress {
  bytesCompared: number;
  bytesTotal: number;
  differingBytes: number;
}

/** What differs between two places of a disk. */
export interface DiskComparison {
  /** Identity of what was compared, which the log is written from. */
  scope: DigestScope;
  sourceId: string;
  diskSizeBytes: number;
  firstSegment: number;
  /** The first segment that is not compared; the disk's number of segments when all are. */
  endSegment: number;
  isComplete: boolean;
  segments: readonly SegmentDifference[];
  /** Segments that an earlier run had found. */
  resumedSegments: number;
  blocksCompared: number;
  differingBytes: number;
  /** Of the source, to compare. */
  bytesRead: number;
  bytesSkipped: number;
}

/**
 * Finds what differs. Stops early, at the end of a segment, once `maxDifferingBytes` differ: ship that part, then compare on
 * from `endSegment`. May be called again after any interruption. Throws `DigestsInvalid` and `DigestsForeign` for digests
 * that are damaged or of something else, AgentError `DigestsContradict`, and what the source, the client, the journal and
 * the signal throw.
 */
export async function compareDisk(
  source: SourceView,
  client: DigestsClient,
  options: CompareOptions,
): Promise<DiskComparison> {
  const { scope, sourceId, journal, firstSegment = 0 } = options;
  const { maxDifferingBytes = defaultMaxDifferingBytes, publish, signal } = options;
  const diskSizeBytes = source.sizeBytes;
  const segments = segmentCount(diskSizeBytes);
  const findings = await journal.begin({ ...scope, sourceId, diskSizeBytes, firstSegment });
  const resumedSegments = findings.length;
  const manifests = new ManifestReader(client, options, diskSizeBytes);
  const isEnough = (): boolean => differingBytesOf(findings) >= maxDifferingBytes;
  let next = firstSegment + findings.length;
  for (; next < segments && !isEnough(); next++) {
    signal?.throwIfAborted();
    const startedAt = performance.now();
    const replica = await manifests.take(next, next + 1 < segments);
    const { difference, digests } = await compareSegment({
      scope,
      source,
      client,
      segment: next,
      replica,
      signal,
    });
    await publish?.put(next, encodeCoarse({ scope: publish.scope, diskSizeBytes, segment: next }, digests));
    const entry = { ...difference, activeMs: performance.now() - startedAt };
    await journal.append(entry);
    findings.push(entry);
    options.onProgress?.(compareProgress(findings, { firstSegment, diskSizeBytes }));
  }
  const sum = (of: (entry: JournalEntry) => number): number =>
    findings.reduce((total, entry) => total + of(entry), 0);
  return {
    scope,
    sourceId,
    diskSizeBytes,
    firstSegment,
    endSegment: next,
    isComplete: next >= segments,
    segments: findings,
    resumedSegments,
    blocksCompared: sum(({ segment }) => segmentBlocks(diskSizeBytes, segment).count),
    differingBytes: differingBytesOf(findings),
    bytesRead: sum((entry) => entry.bytesRead),
    bytesSkipped: sum((entry) => entry.bytesSkipped),
  };
}

/** The sum of all extents. */
function differingBytesOf(segments: readonly SegmentDifference[]): number {
  let bytes = 0;
  for (const { extents } of segments) for (const { lengthBytes } of extents) bytes += lengthBytes;
  return bytes;
}

/** Pure: how far the findings are. */
function compareProgress(
  findings: readonly JournalEntry[],
  { firstSegment, diskSizeBytes }: { firstSegment: number; diskSizeBytes: number },
): CompareProgress {
  const bytesOf = (firstBlock: number, endBlock: number): number =>
    endBlock <= firstBlock
      ? 0
      : spanRange(diskSizeBytes, { firstBlock, count: endBlock - firstBlock }).lengthBytes;
  const firstBlock = segmentBlocks(diskSizeBytes, firstSegment).firstBlock;
  const blocks = findings.reduce((sum, { segment }) => sum + segmentBlocks(diskSizeBytes, segment).count, 0);
  const activeMs = findings.reduce((sum, entry) => sum + entry.activeMs, 0);
  const done = bytesOf(firstBlock, firstBlock + blocks);
  const total = bytesOf(firstBlock, blockCount(diskSizeBytes, coarseBlockBytes));
  return {
    ...progressOf({ done, total, activeMs }),
    bytesCompared: done,
    bytesTotal: total,
    differingBytes: differingBytesOf(findings),
  };
}

const defaultPollDelayMs = 5000;

/** Fetches manifests one ahead, waits for those that are pending, and checks each before it is used. */
class ManifestReader {
  readonly #client: DigestsClient;
  readonly #options: CompareOptions;
  readonly #diskSizeBytes: number;
  #ahead: { segment: number; answer: Promise<Uint8Array | 'pending'> } | undefined;

  constructor(client: DigestsClient, options: CompareOptions, diskSizeBytes: number) {
    this.#client = client;
    this.#options = options;
    this.#diskSizeBytes = diskSizeBytes;
  }

  async take(segment: number, hasNext: boolean): Promise<Uint8Array> {
    const { scope, signal, pollDelayMs = defaultPollDelayMs } = this.#options;
    const known = this.#ahead?.segment === segment ? this.#ahead.answer : undefined;
    let answer = await (known ?? this.#client.coarseSegment(segment));
    while (answer === 'pending') {
      await sleep(pollDelayMs, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
      answer = await this.#client.coarseSegment(segment);
    }
    if (hasNext) {
      const ahead = this.#client.coarseSegment(segment + 1);
      // Thrown when its turn comes, not as unhandled before.
      ahead.catch(() => undefined);
      this.#ahead = { segment: segment + 1, answer: ahead };
    }
    return parseCoarse(answer, { scope, diskSizeBytes: this.#diskSizeBytes, segment });
  }
}
