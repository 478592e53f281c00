// The beginning of a disk as a disk of its own: of one that has grown, the part that the service knows.
import type { ByteRange } from '../../lib/storage/ports.ts';
import { requireInside } from './extentList.ts';
import type { DiskReader } from './reader.ts';

/** The first `sizeBytes` of the disk. Closing it closes the disk. */
export function clippedDisk(disk: DiskReader, sizeBytes: number): DiskReader {
  const { location = '' } = disk.identity.chain[0] ?? {};
  const check = (range: ByteRange): void => requireInside(location, range, sizeBytes);
  const { identity, logicalSectorSizeBytes } = disk;
  const close = (): Promise<void> => disk.close();
  return {
    ...{ sizeBytes, identity, logicalSectorSizeBytes, close, [Symbol.asyncDispose]: close },
    async read(offsetBytes, lengthBytes) {
      check({ offsetBytes, lengthBytes });
      return disk.read(offsetBytes, lengthBytes);
    },
    async allocation(window) {
      check(window);
      return disk.allocation(window);
    },
  };
}

/** What of the extents lies before `sizeBytes`, ascending as they are. */
export function clipExtents(extents: readonly ByteRange[], sizeBytes: number): ByteRange[] {
  return extents.flatMap(({ offsetBytes, lengthBytes }) => {
    const length = Math.min(offsetBytes + lengthBytes, sizeBytes) - offsetBytes;
    return length > 0 ? [{ offsetBytes, lengthBytes: length }] : [];
  });
}
