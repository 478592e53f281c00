// What a first copy must read of a disk.
import type { ByteRange } from '../../lib/storage/ports.ts';
import type { DiskReader } from '../disk/reader.ts';
import { ExtentCollector } from './extentCollector.ts';

const windowBytes = 1024 ** 3;

/** Everything of the disk that may be other than zeros, ascending and disjoint, in bounded memory. */
export async function allocatedExtents(
  reader: Pick<DiskReader, 'sizeBytes' | 'allocation'>,
): Promise<ByteRange[]> {
  const extents = new ExtentCollector();
  for (let start = 0; start < reader.sizeBytes; start += windowBytes) {
    const lengthBytes = Math.min(windowBytes, reader.sizeBytes - start);
    for (const { kind, ...extent } of await reader.allocation({ offsetBytes: start, lengthBytes }))
      if (kind === 'data') extents.add(extent);
  }
  return extents.take();
}
