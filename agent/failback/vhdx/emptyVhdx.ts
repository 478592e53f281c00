// A new VHDX without contents that is otherwise the disk that another one is: what a failback fills.
import { guidToMixedEndian } from '../../disk/guid.ts';
import { blockGeometry, blockState, entryOfBlock, writeEntry } from '../../disk/vhdx/blockTable.ts';
import { headerOffsets, mebibyte, vhdxSignature } from '../../disk/vhdx/header.ts';
import { readOverlaid, regionGuids, regionTableOffsets, type VhdxRegions } from '../../disk/vhdx/regions.ts';
import type { VhdxStructures } from '../../disk/vhdx/structures.ts';
import type { ContainerFile } from '../containerFile.ts';
import { newGuid, seal } from './headerUpdate.ts';

const log = { offsetBytes: mebibyte, lengthBytes: mebibyte };
const metadataOffsetBytes = log.offsetBytes + log.lengthBytes;

const inMebibytes = (bytes: number): number => Math.ceil(bytes / mebibyte) * mebibyte;

function header(sequenceNumber: bigint, writeGuids: Buffer): Buffer {
  const bytes = Buffer.alloc(4096);
  bytes.write('head', 0, 'latin1');
  bytes.writeBigUInt64LE(sequenceNumber, 8);
  writeGuids.copy(bytes, 16);
  bytes.writeUInt16LE(1, 66);
  bytes.writeUInt32LE(log.lengthBytes, 68);
  bytes.writeBigUInt64LE(BigInt(log.offsetBytes), 72);
  return seal(bytes);
}

function regionTable(regions: VhdxRegions): Buffer {
  const bytes = Buffer.alloc(64 * 1024);
  bytes.write('regi', 0, 'latin1');
  const names = ['blockTable', 'metadata'] as const;
  bytes.writeUInt32LE(names.length, 8);
  names.forEach((name, index) => {
    const at = 16 + index * 32;
    guidToMixedEndian(regionGuids[name]).copy(bytes, at);
    bytes.writeBigUInt64LE(BigInt(regions[name].offsetBytes), at + 16);
    bytes.writeUInt32LE(regions[name].lengthBytes, at + 24);
    bytes.writeUInt32LE(1, at + 28);
  });
  return seal(bytes);
}

/** Where everything goes: log, metadata, block table, and behind them the blocks of a fixed disk. */
function layoutOf({ regions, metadata }: VhdxStructures): VhdxRegions & { blocksOffsetBytes: number } {
  const { entryCount } = blockGeometry(metadata);
  const { lengthBytes } = regions.metadata;
  const blockTable = {
    offsetBytes: metadataOffsetBytes + lengthBytes,
    lengthBytes: inMebibytes(entryCount * 8),
  };
  return {
    metadata: { offsetBytes: metadataOffsetBytes, lengthBytes },
    blockTable,
    blocksOffsetBytes: blockTable.offsetBytes + blockTable.lengthBytes,
  };
}

async function copyMetadata(file: ContainerFile, { overlaid, regions }: VhdxStructures): Promise<void> {
  const { offsetBytes, lengthBytes } = regions.metadata;
  for (let done = 0; done < lengthBytes; done += mebibyte)
    await file.write(metadataOffsetBytes + done, await readOverlaid(overlaid, offsetBytes + done, mebibyte));
}

/** All blocks have a place, one behind the other. */
async function writeFullTable(
  file: ContainerFile,
  structures: VhdxStructures,
  { blockTable, blocksOffsetBytes }: ReturnType<typeof layoutOf>,
): Promise<void> {
  const { blockSizeBytes } = structures.metadata;
  const { blockCount, chunkRatio, entryCount } = blockGeometry(structures.metadata);
  const table = Buffer.alloc(entryCount * 8);
  for (let block = 0; block < blockCount; block++)
    writeEntry(blockState.fullyPresent, blocksOffsetBytes + block * blockSizeBytes).copy(
      table,
      entryOfBlock(block, chunkRatio) * 8,
    );
  await file.write(blockTable.offsetBytes, table);
}

/**
 * Makes the file, which is empty, a VHDX of the same kind, size, block and sector sizes, all zeros. It takes over the metadata as
 * they are, and with them VirtualDiskId: that is page 83 of the disk, by which a guest knows its disk again, and the disk that
 * comes home is the one that left; the original, which has the same, is set aside. File and data ids are new. The file begins as a
 * VHDX only when everything else is durable. Throws errors of the files.
 */
export async function makeEmptyVhdx(file: ContainerFile, original: VhdxStructures): Promise<void> {
  const layout = layoutOf(original);
  const { blockSizeBytes, isFixed } = original.metadata;
  const blocksBytes = isFixed ? blockGeometry(original.metadata).blockCount * blockSizeBytes : 0;
  await file.setSize(layout.blocksOffsetBytes + blocksBytes);
  await copyMetadata(file, original);
  if (isFixed) await writeFullTable(file, original, layout);
  for (const offsetBytes of regionTableOffsets) await file.write(offsetBytes, regionTable(layout));
  const writeGuids = Buffer.concat([newGuid(), newGuid()]);
  const [one, other] = headerOffsets;
  await file.write(one, header(1n, writeGuids));
  await file.write(other, header(2n, writeGuids));
  await file.flush();
  const identifier = Buffer.alloc(64 * 1024);
  identifier.write(vhdxSignature, 0, 'latin1');
  identifier.write('Lifeboat', vhdxSignature.length, 'utf16le');
  await file.write(0, identifier);
  await file.flush();
}

/** Whether a file that was begun as the new disk of `original` is one; its contents may be any. */
export function isSameDisk(found: VhdxStructures, original: VhdxStructures): boolean {
  const keys = ['virtualDiskId', 'isFixed', 'blockSizeBytes', 'sizeBytes', 'logicalSectorSizeBytes'] as const;
  return (
    found.metadata.parentLocator === undefined &&
    keys.every((key) => found.metadata[key] === original.metadata[key])
  );
}
