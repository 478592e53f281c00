// The difference of a comparison as a log. Its bytes are read from the same frozen view again, and are proved on the way to
// be the bytes that were compared: a view that was not frozen after all must not make a log.
import { createHash, type Hash } from 'node:crypto';
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import type { HrlWrite } from '../../lib/hrl/writer.ts';
import { digestsWithin } from '../../lib/resync/blockDigests.ts';
import { fineBlockBytes, segmentBytes } from '../../lib/resync/blocks.ts';
import { AgentError } from '../agentError.ts';
import { writeDeltaLog, type DeltaLog, type DeltaLogOptions } from '../deltaLog.ts';
import { readExtents, totalsOfExtents } from '../extents.ts';
import type { DiskComparison } from './compareDisk.ts';
import type { SegmentDifference } from './segmentDifference.ts';

/** A log without predecessor unless `previousUniqueId` names one: what it repairs is a chain that broke. */
export type ResyncLogOptions = Omit<DeltaLogOptions, 'expected'>;

/**
 * Writes what differs as one log; upload it with metadata kind=resync. Nothing that differs makes a valid empty log. May be
 * called again with `replace`. Throws AgentError `SourceChanged` when the source does not hold the bytes that were
 * compared, `DiskSizeMismatch` for another disk, and as `writeDeltaLog`; no file is left then.
 */
export async function writeResyncLog(
  path: string,
  source: RandomAccessSource,
  comparison: DiskComparison,
  options: ResyncLogOptions,
): Promise<DeltaLog> {
  const { diskSizeBytes, segments } = comparison;
  if (source.sizeBytes !== diskSizeBytes) {
    const message = `The source has ${source.sizeBytes} bytes; the disk that was compared has ${diskSizeBytes}.`;
    throw new AgentError('DiskSizeMismatch', message, 'Compare the disk again.');
  }
  const extents = segments.flatMap((segment) => segment.extents);
  const writes = provenWrites(readExtents(source, extents), segments);
  return writeDeltaLog(path, writes, { ...options, expected: totalsOfExtents(extents) });
}

/** Passes the writes on; throws at the end of a segment whose bytes are not those that were compared. */
async function* provenWrites(
  writes: AsyncIterable<HrlWrite>,
  segments: readonly SegmentDifference[],
): AsyncGenerator<HrlWrite, void, undefined> {
  const expected = new Map(segments.map((each) => [each.segment, each.contentSha256]));
  let current: { segment: number; hash: Hash } | undefined;
  const prove = (): void => {
    if (current === undefined) return;
    if (expected.get(current.segment) === current.hash.digest('hex')) return;
    const message = `The source changed between comparing and reading, at ${current.segment * segmentBytes} bytes or within 1 GiB after: it is not frozen.`;
    throw new AgentError('SourceChanged', message, 'Compare again, with a view that does not change.');
  };
  for await (const write of writes) {
    const segment = Math.floor(write.diskOffset / segmentBytes);
    if (current?.segment !== segment) {
      prove();
      current = { segment, hash: createHash('sha256') };
    }
    current.hash.update(digestsWithin(write.data, fineBlockBytes));
    yield write;
  }
  prove();
}
