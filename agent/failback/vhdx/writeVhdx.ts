// Writing the disk inside a VHDX, fixed or dynamic, in place.
import { isZeros } from '../../../lib/disk/zeros.ts';
import { ImageDisk } from '../../disk/imageDisk.ts';
import type { DiskChainLink } from '../../disk/reader.ts';
import { blockGeometry } from '../../disk/vhdx/blockTable.ts';
import { VhdxBlocks } from '../../disk/vhdx/blocks.ts';
import { readVhdxStructures } from '../../disk/vhdx/structures.ts';
import type { ContainerFile } from '../containerFile.ts';
import type { DiskWriter } from '../diskWriter.ts';
import { BlockPlaces } from './blockPlaces.ts';
import { changeHeaders } from './headerUpdate.ts';
import { replayPendingLog } from './logReplay.ts';

/**
 * Opens the container for writing, whose file stays the caller's. `link` is what a reader said of it: no differencing disk,
 * because a change of one would need its parent's bytes.
 *
 * What it keeps, as MS-VHDX demands:
 * - Nothing is changed in a container that cannot be opened and checked whole.
 * - A pending log is replayed when the disk is opened, and the log is empty from then on: nothing of ours is ever in it.
 * - Before the first write of the disk the headers get a new FileWriteGuid and a new DataWriteGuid, durably: children and change
 *   tracking that count on the old bytes see that they are others. A disk that is only read keeps them. VirtualDiskId stays.
 * - A block that is not there gets its place as `BlockPlaces` says; zeros need none.
 * - After a crash at any moment the container opens. Each 512 bytes of the disk are then the old or the new ones; what was
 *   written before the last `sync` are the new ones. Blocks that nobody wrote are what and where they were.
 * - When the file system is full, writes throw `OutputFull`; the container opens, and what it had is there.
 *
 * Throws `DiskImageCorrupt`, `DiskImageUnsupported`, and errors of the file.
 */
export async function openVhdxWriter(file: ContainerFile, link: DiskChainLink): Promise<DiskWriter> {
  const structures = await readVhdxStructures(file);
  await replayPendingLog(file, structures);
  const { regions, metadata } = structures;
  const { sizeBytes, blockSizeBytes, logicalSectorSizeBytes } = metadata;
  const tableOffsetBytes = regions.blockTable.offsetBytes;
  const { chunkRatio } = blockGeometry(metadata);
  const places = new BlockPlaces(file, { tableOffsetBytes, chunkRatio, blockSizeBytes });
  // Reads look into the file for every entry, because the table changes meanwhile.
  const blocks = new VhdxBlocks(file, tableOffsetBytes, metadata);
  const reader = new ImageDisk({
    ...{ format: 'vhdx', link, versionText: 'being written', sizeBytes, logicalSectorSizeBytes },
    readInto: (target, offsetBytes) => file.readInto(target, offsetBytes),
    locate: (range) => blocks.locate(range),
    closeFile: () => Promise.resolve(),
  });

  let announced: Promise<void> | undefined;
  const writePart = async (offsetBytes: number, bytes: Uint8Array): Promise<void> => {
    const block = Math.floor(offsetBytes / blockSizeBytes);
    let place = await places.find(block);
    if (place === undefined && isZeros(bytes)) return;
    await (announced ??= changeHeaders(file, { newDataWriteGuid: true }));
    place ??= await places.make(block);
    await file.write(place + (offsetBytes % blockSizeBytes), bytes);
  };
  return {
    reader,
    async write(offsetBytes, bytes) {
      if (offsetBytes % logicalSectorSizeBytes !== 0 || bytes.length % logicalSectorSizeBytes !== 0)
        throw new RangeError(`write [${offsetBytes}, +${bytes.length}): no whole sectors`);
      for (let done = 0; done < bytes.length;) {
        const at = offsetBytes + done;
        const length = Math.min(bytes.length - done, blockSizeBytes - (at % blockSizeBytes));
        await writePart(at, bytes.subarray(done, done + length));
        done += length;
      }
    },
    async sync() {
      await places.trim();
      await file.flush();
    },
    trim: () => places.trim(),
  };
}
