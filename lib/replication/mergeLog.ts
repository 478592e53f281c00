// Merging one checked log into the replica of its disk: fence first, then pages, then, if wanted, the same pages read
// back. What it returns is for the commit; until then nothing is recorded, and it may be done again from the start.
import { applyMerge, type PageTarget } from '../merge/apply.ts';
import { planMerge } from '../merge/plan.ts';
import { readBack } from '../merge/readBack.ts';
import type { AppliedLog } from '../protection/item.ts';
import { blobSource } from '../storage/blobSource.ts';
import type { BlobInfo, ByteRange, Fence } from '../storage/ports.ts';
import type { CheckedLog } from './checkCycle.ts';
import type { ReplicationContext } from './context.ts';
import { raiseFence } from './fence.ts';
import { replicaName } from './names.ts';

/** The fence that the log was merged under, and what the cycle's row says about the log. */
export interface MergedLog {
  disk: string;
  fence: number;
  applied: AppliedLog;
}

/** The container of the logs, as the service names the source of a copy. */
const logContainer = 'deltas';

/** The replica as a merge writes it: every write with the fence. */
function fencedTarget(context: ReplicationContext, name: string, fence: Fence, log: BlobInfo): PageTarget {
  const { replicas } = context.storage;
  const { copyPages } = replicas;
  const source = { container: logContainer, name: log.name, etag: log.etag };
  return {
    async writePages(offsetBytes, data) {
      await replicas.writePages(name, offsetBytes, data, fence);
      context.fault('apply.afterWrite');
    },
    async clearPages(range) {
      await replicas.clearPages(name, range, fence);
      context.fault('apply.afterClear');
    },
    copyPages:
      copyPages &&
      (async (range, logOffsetBytes) => {
        const isCopied = await copyPages(name, range, { ...source, offsetBytes: logOffsetBytes }, fence);
        context.fault('apply.afterCopy');
        return isCopied;
      }),
  };
}

/**
 * Throws what `raiseFence`, the storage and `readBack` throw; at an abort the signal's reason. When it throws, nothing
 * is in flight any more.
 */
export async function mergeLog(
  context: ReplicationContext,
  item: string,
  { disk, blob, verified, zeroRuns, kept }: CheckedLog,
  signal: AbortSignal,
): Promise<MergedLog> {
  const name = replicaName(item, disk.disk);
  const fence = await raiseFence(context, item, disk);
  context.fault('apply.afterFence');
  const stored = blobSource(context.storage.deltas, blob);
  // What is kept is not read again, but a log that was replaced since it was checked is not applied.
  await stored.read(0, 0);
  const source = kept.over(stored);
  const segments = planMerge(verified.log.entries);
  await applyMerge({ source, segments, target: fencedTarget(context, name, fence, blob), zeroRuns, signal });
  if (context.verify === 'readback') {
    const readTarget = (range: ByteRange) => context.storage.replicas.read(name, range);
    await readBack({ source, segments, targetName: `Replica ${name}`, readTarget, signal });
    context.fault('apply.afterReadBack');
  }
  const logId = verified.log.header.uniqueId;
  return {
    disk: disk.disk,
    fence: fence.sequenceNumber,
    applied: {
      disk: disk.disk,
      sha256: verified.sha256,
      etag: blob.etag,
      logId,
      logBytes: blob.sizeBytes,
      dataBytes: verified.dataBytes,
      entryCount: verified.log.entries.count,
    },
  };
}
