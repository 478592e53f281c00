// Builds the answer of DiskReader.allocation.
import type { ByteRange } from '../../lib/storage/ports.ts';
import type { DiskExtent } from './reader.ts';

/** Extents in ascending order; what continues the last one is joined to it. */
export class ExtentList {
  readonly items: DiskExtent[] = [];

  add(kind: DiskExtent['kind'], { offsetBytes, lengthBytes }: ByteRange): void {
    if (lengthBytes === 0) return;
    const last = this.items.at(-1);
    if (last?.kind === kind && last.offsetBytes + last.lengthBytes === offsetBytes)
      last.lengthBytes += lengthBytes;
    else this.items.push({ kind, offsetBytes, lengthBytes });
  }
}

/** Throws RangeError for a range that is not inside the disk. */
export function requireInside(
  location: string,
  { offsetBytes, lengthBytes }: ByteRange,
  sizeBytes: number,
): void {
  const isInside =
    Number.isSafeInteger(offsetBytes) &&
    Number.isSafeInteger(lengthBytes) &&
    offsetBytes >= 0 &&
    lengthBytes >= 0 &&
    offsetBytes + lengthBytes <= sizeBytes;
  if (isInside) return;
  const end = offsetBytes + lengthBytes;
  throw new RangeError(`${location}: range [${offsetBytes}, ${end}) of a disk of ${sizeBytes} bytes`);
}
