// What a machine's disks must be like to be protected. Every failed check is listed, not just the first.
import { isLifeboatError } from '../errors.ts';
import type { ErrorRecord } from '../errors.ts';
import { paddedSizeBytes } from '../vhd/fixed.ts';
import type { ItemRecord } from './item.ts';

/** Azure boots generation 1 machines from MBR disks. */
const generation1OsDiskLimitBytes = 2 * 2 ** 40;

export function checkDisks({ disks }: Pick<ItemRecord, 'disks'>, generation: '1' | '2'): ErrorRecord[] {
  const errors: ErrorRecord[] = [];
  const refuse = (message: string) => errors.push({ code: 'DiskUnsupported', message });
  if (disks.length === 0) refuse('No disk of the machine is selected.');
  for (const { disk, type, sizeBytes } of disks) {
    try {
      paddedSizeBytes(sizeBytes);
    } catch (error) {
      if (!isLifeboatError(error, 'DiskUnsupported')) throw error;
      refuse(`Disk ${disk} cannot be replicated: ${error.message}.`);
    }
    if (generation === '1' && type === 'OperatingSystem' && sizeBytes > generation1OsDiskLimitBytes) {
      refuse(`Disk ${disk} is the operating system disk of a generation 1 machine and larger than 2 TiB.`);
    }
  }
  return errors;
}
