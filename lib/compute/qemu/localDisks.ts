// Recovered disks as sparse local files, and back: what a guest changed in its file is written into the blob.
import { open, rename, stat, type FileHandle } from 'node:fs/promises';
import { forEachBounded } from '../../merge/bounded.ts';
import { isZeroPage } from '../../merge/zeroRuns.ts';
import { pageSizeBytes, type ByteRange, type PageBlobPort } from '../../storage/ports.ts';
import { vhdFooterSizeBytes } from '../../vhd/fixed.ts';
import type { MachineDisk } from '../port.ts';

const pieceBytes = 4 * 1024 * 1024;
const piecesAtOnce = 4;

function* piecesOf(ranges: readonly ByteRange[]): Generator<ByteRange> {
  for (const { offsetBytes, lengthBytes } of ranges)
    for (let done = 0; done < lengthBytes; done += pieceBytes)
      yield { offsetBytes: offsetBytes + done, lengthBytes: Math.min(pieceBytes, lengthBytes - done) };
}

/** Writes the disk's bytes, without the footer, to a sparse file. The file is there whole or not at all. */
export async function downloadDisk(port: PageBlobPort, disk: MachineDisk, path: string): Promise<void> {
  const sizeBytes = disk.blobSizeBytes - vhdFooterSizeBytes;
  if (
    await stat(path).then(
      ({ size }) => size === sizeBytes,
      () => false,
    )
  )
    return;
  const partPath = `${path}.part`;
  const file = await open(partPath, 'w');
  try {
    await file.truncate(sizeBytes);
    const ranges = await port.listRanges(disk.blobName, { offsetBytes: 0, lengthBytes: sizeBytes });
    await forEachBounded(piecesOf(ranges), { concurrency: piecesAtOnce }, async (piece) => {
      await writeAt(file, piece.offsetBytes, await port.read(disk.blobName, piece));
    });
  } finally {
    await file.close();
  }
  await rename(partPath, path);
}

async function writeAt(file: FileHandle, offsetBytes: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offsetBytes + done);
    done += bytesWritten;
  }
}

/** Makes the blob equal to the file; returns how many bytes differed. May be called again. */
export async function uploadChanges(port: PageBlobPort, disk: MachineDisk, path: string): Promise<number> {
  const sizeBytes = disk.blobSizeBytes - vhdFooterSizeBytes;
  const file = await open(path, 'r');
  let changedBytes = 0;
  try {
    const whole = piecesOf([{ offsetBytes: 0, lengthBytes: sizeBytes }]);
    await forEachBounded(whole, { concurrency: piecesAtOnce }, async (piece) => {
      const local = new Uint8Array(piece.lengthBytes);
      for (let done = 0; done < local.length;) {
        const { bytesRead } = await file.read(local, done, local.length - done, piece.offsetBytes + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      const stored = await port.read(disk.blobName, piece);
      for (const { offset, length, isZero } of differingRuns(local, stored)) {
        const offsetBytes = piece.offsetBytes + offset;
        changedBytes += length;
        if (isZero) await port.clearPages(disk.blobName, { offsetBytes, lengthBytes: length });
        else await port.writePages(disk.blobName, offsetBytes, local.subarray(offset, offset + length));
      }
    });
    return changedBytes;
  } finally {
    await file.close();
  }
}

/** Runs of pages that differ, each either all zeros in `wanted` or not. */
function differingRuns(
  wanted: Uint8Array,
  found: Uint8Array,
): { offset: number; length: number; isZero: boolean }[] {
  const runs: { offset: number; length: number; isZero: boolean }[] = [];
  if (Buffer.compare(wanted, found) === 0) return runs;
  for (let offset = 0; offset < wanted.length; offset += pageSizeBytes) {
    const page = wanted.subarray(offset, offset + pageSizeBytes);
    if (Buffer.compare(page, found.subarray(offset, offset + pageSizeBytes)) === 0) continue;
    const isZero = isZeroPage(wanted, offset);
    const last = runs.at(-1);
    if (last !== undefined && last.offset + last.length === offset && last.isZero === isZero)
      last.length += pageSizeBytes;
    else runs.push({ offset, length: pageSizeBytes, isZero });
  }
  return runs;
}
