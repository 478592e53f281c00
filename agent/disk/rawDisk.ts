// A raw image or a block device: its bytes are the disk's. Which of them are holes cannot be asked without reading (Node
// has no SEEK_HOLE, and counts of allocated blocks lag behind on some file systems), so all of it counts as data.
import { imageUnsupported } from './errors.ts';
import { ImageDisk } from './imageDisk.ts';
import type { ImageFile } from './imageFile.ts';
import type { DiskReader } from './reader.ts';

const sectorBytes = 512;

/** The file is the reader's from then on; when this throws, it stays the caller's. */
export function openRaw(file: ImageFile): DiskReader {
  const { path, sizeBytes } = file;
  if (sizeBytes === 0 || sizeBytes % sectorBytes !== 0)
    throw imageUnsupported(path, `a raw disk of ${sizeBytes} bytes, which are no whole sectors`);
  return new ImageDisk({
    format: 'raw',
    link: { location: path, variant: file.isDevice ? 'block device' : 'raw', imageId: undefined },
    versionText: file.versionText,
    sizeBytes,
    logicalSectorSizeBytes: sectorBytes,
    readInto: (target, offset) => file.readInto(target, offset),
    fd: file.fd,
    locate: (range) => Promise.resolve([{ ...range, place: 'file', fileOffsetBytes: range.offsetBytes }]),
    closeFile: () => file.close(),
  });
}
