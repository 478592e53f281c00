// What a machine's disks must be like to be protected. Every failed check is listed, not just the first.
import type { ErrorRecord } from '../errors.ts';
import { fixedVhdBlobSizeBytes } from '../vhd/fixed.ts';
import type { ItemRecord } from './item.ts';

const tebibyte = 2 ** 40;
const pageBlobLimitBytes = 8 * tebibyte;
/** Azure boots generation 1 machines from MBR disks. */
const generation1OsDiskLimitBytes = 2 * tebibyte;

export function checkDisks({ disks }: Pick<ItemRecord, 'disks'>, generation: '1' | '2'): ErrorRecord[] {
  const errors: ErrorRecord[] = [];
  const refuse = (message: string) => errors.push({ code: 'DiskUnsupported', message });
  if (disks.length === 0) refuse('No disk of the machine is selected.');
  for (const { disk, type, sizeBytes } of disks) {
    if (sizeBytes % 512 !== 0) refuse(`Disk ${disk} has ${sizeBytes} bytes, which is not a multiple of 512.`);
    else if (fixedVhdBlobSizeBytes(sizeBytes) > pageBlobLimitBytes) {
      refuse(`Disk ${disk} has ${sizeBytes} bytes; a page blob holds at most 8 TiB with the VHD footer.`);
    }
    if (generation === '1' && type === 'OperatingSystem' && sizeBytes > generation1OsDiskLimitBytes) {
      refuse(`Disk ${disk} is the operating system disk of a generation 1 machine and larger than 2 TiB.`);
    }
  }
  return errors;
}
