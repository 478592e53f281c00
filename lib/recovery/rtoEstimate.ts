// How long a failover is expected to take: as long as the last one of the item that ended well, else what its sizes say. Pure.
import type { ComputeProvider } from '../compute/port.ts';
import type { ItemRecord } from '../protection/item.ts';

/** What one page blob of the service takes a second at most; two disks are made at once. */
const blobBytesPerSecond = 60 * 2 ** 20;
const disksAtOnce = 2;
/** Making and starting a machine, as a rule of thumb; where nothing is started, noting it. */
const machineSeconds: Record<ComputeProvider['kind'], number> = { azure: 240, qemu: 30, vhd: 5 };

export interface RtoEstimate {
  estimatedRtoSeconds: number;
  /** `lastRun`: measured on this item. `sizes`: worked out, and rough: disks are mostly not full. */
  estimatedRtoFrom: 'lastRun' | 'sizes';
}

export function estimateRto(
  { lastRtoSeconds, disks }: Pick<ItemRecord, 'lastRtoSeconds' | 'disks'>,
  provider: ComputeProvider['kind'] = 'vhd',
): RtoEstimate {
  if (lastRtoSeconds !== null)
    return { estimatedRtoSeconds: Math.round(lastRtoSeconds), estimatedRtoFrom: 'lastRun' };
  const sizes = disks.map(({ sizeBytes }) => sizeBytes);
  const allBytes = sizes.reduce((sum, sizeBytes) => sum + sizeBytes, 0);
  // The largest disk alone, or all of them over both places, whichever is longer.
  const copySeconds = Math.max(Math.max(0, ...sizes), allBytes / disksAtOnce) / blobBytesPerSecond;
  return {
    estimatedRtoSeconds: Math.ceil(copySeconds + machineSeconds[provider]),
    estimatedRtoFrom: 'sizes',
  };
}
