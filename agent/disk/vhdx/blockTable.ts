// The block allocation table of a VHDX (MS-VHDX 2.5): a 64-bit entry for each block, and after every chunk of blocks one
// for the sector bitmap of that chunk, which differencing disks use.
import { imageCorrupt } from '../errors.ts';
import { scanTable } from '../tableScan.ts';
import { mebibyte, type VhdxHeader } from './header.ts';
import type { VhdxMetadata } from './metadata.ts';
import type { OverlaidFile, VhdxRegion, VhdxRegions } from './regions.ts';

export const blockState = {
  notPresent: 0,
  undefined: 1,
  zero: 2,
  unmapped: 3,
  fullyPresent: 6,
  partiallyPresent: 7,
} as const;
const sectorBitmapBytes = mebibyte;
const entryBytes = 8;

/** How blocks, chunks and entries belong together. */
export interface BlockGeometry {
  blockCount: number;
  /** Blocks that share one sector bitmap. */
  chunkRatio: number;
  entryCount: number;
}

export function blockGeometry(metadata: VhdxMetadata): BlockGeometry {
  const { blockSizeBytes, sizeBytes, logicalSectorSizeBytes, parentLocator } = metadata;
  const chunkRatio = (2 ** 23 * logicalSectorSizeBytes) / blockSizeBytes;
  const blockCount = Math.ceil(sizeBytes / blockSizeBytes);
  const entryCount = parentLocator
    ? Math.ceil(blockCount / chunkRatio) * (chunkRatio + 1)
    : blockCount + Math.floor((blockCount - 1) / chunkRatio);
  return { blockCount, chunkRatio, entryCount };
}

/** Index in the table of a block's entry. */
export const entryOfBlock = (block: number, chunkRatio: number): number =>
  block + Math.floor(block / chunkRatio);

/** State and place of the entry at `at`. */
export function readEntry(bytes: Buffer, at: number): { state: number; fileOffsetBytes: number } {
  const low = bytes.readUInt32LE(at);
  const high = bytes.readUInt32LE(at + 4);
  return { state: low & 7, fileOffsetBytes: ((low >>> 20) + high * 4096) * mebibyte };
}

/** The bytes of an entry; the place is in whole MiB. */
export function writeEntry(state: number, fileOffsetBytes: number): Buffer {
  const bytes = Buffer.alloc(entryBytes);
  bytes.writeBigUInt64LE((BigInt(fileOffsetBytes / mebibyte) << 20n) | BigInt(state));
  return bytes;
}

/** Which MiB of the file are taken. */
class TakenSpace {
  readonly #bits: Uint8Array;

  constructor(fileSizeBytes: number) {
    this.#bits = new Uint8Array(Math.ceil(fileSizeBytes / mebibyte / 8));
  }

  /** False when a part of it was taken before. */
  take(offsetBytes: number, lengthBytes: number): boolean {
    const end = Math.ceil((offsetBytes + lengthBytes) / mebibyte);
    for (let index = Math.floor(offsetBytes / mebibyte); index < end; index++) {
      const bit = 1 << (index & 7);
      if (((this.#bits[index >>> 3] ?? 0) & bit) !== 0) return false;
      this.#bits[index >>> 3] = (this.#bits[index >>> 3] ?? 0) | bit;
    }
    return true;
  }
}

/** A container is never larger than this: 64 TiB of blocks and its tables. */
const maxFileBytes = 66 * 1024 ** 4;

interface TableCheck {
  file: OverlaidFile;
  header: VhdxHeader;
  regions: VhdxRegions;
  metadata: VhdxMetadata;
}

function takeStructures({ file, header, regions }: TableCheck): TakenSpace {
  if (file.sizeBytes > maxFileBytes) throw imageCorrupt(file.path, `has ${file.sizeBytes} bytes`);
  const taken = new TakenSpace(file.sizeBytes);
  const takeRegion = ({ offsetBytes, lengthBytes }: VhdxRegion): boolean =>
    taken.take(offsetBytes, lengthBytes);
  const isFree = taken.take(0, mebibyte) && takeRegion(regions.blockTable) && takeRegion(regions.metadata);
  const log = { offsetBytes: header.logOffsetBytes, lengthBytes: header.logLengthBytes };
  const isLogInside = log.offsetBytes + log.lengthBytes <= file.sizeBytes;
  if (!isFree || !isLogInside || !takeRegion(log))
    throw imageCorrupt(file.path, 'header, log and regions overlap or lie outside the file');
  return taken;
}

type TableEntry = ReturnType<typeof readEntry>;

/** Checks entries in the order of the table. */
class EntryCheck {
  readonly #check: TableCheck;
  readonly #taken: TakenSpace;
  readonly #blockCount: number;
  readonly #isDifferencing: boolean;
  /** The chunk has partially present blocks; the entry of its bitmap comes after those of its blocks. */
  #isBitmapNeeded = false;

  constructor(check: TableCheck, taken: TakenSpace) {
    this.#check = check;
    this.#taken = taken;
    this.#blockCount = blockGeometry(check.metadata).blockCount;
    this.#isDifferencing = check.metadata.parentLocator !== undefined;
  }

  checkBlock(block: number, { state, fileOffsetBytes }: TableEntry): void {
    // The last chunk of a differencing disk has entries for blocks past the end of the disk.
    if (block >= this.#blockCount) return;
    const isPartial = state === blockState.partiallyPresent;
    const isKnown = state <= blockState.unmapped || state === blockState.fullyPresent;
    if (!isKnown && !(isPartial && this.#isDifferencing)) this.#fail(`block ${block} has state ${state}`);
    this.#isBitmapNeeded ||= isPartial;
    if (state >= blockState.fullyPresent)
      this.#take(`block ${block}`, fileOffsetBytes, this.#check.metadata.blockSizeBytes);
  }

  checkBitmap(index: number, { state, fileOffsetBytes }: TableEntry): void {
    if (!this.#isDifferencing) return;
    const entry = `sector bitmap entry ${index}`;
    if (state !== blockState.notPresent && state !== blockState.fullyPresent)
      this.#fail(`${entry} has state ${state}`);
    if (this.#isBitmapNeeded && state === blockState.notPresent)
      this.#fail(`${entry} is absent, but blocks of its chunk need it`);
    this.#isBitmapNeeded = false;
    if (state === blockState.fullyPresent) this.#take(entry, fileOffsetBytes, sectorBitmapBytes);
  }

  #take(entry: string, offsetBytes: number, lengthBytes: number): void {
    if (offsetBytes + lengthBytes > this.#check.file.sizeBytes)
      this.#fail(`${entry} at ${offsetBytes} lies outside the file`);
    if (!this.#taken.take(offsetBytes, lengthBytes))
      this.#fail(`${entry} at ${offsetBytes} lies over something else`);
  }

  #fail(what: string): never {
    throw imageCorrupt(this.#check.file.path, what);
  }
}

/** Checks every entry: a known state, inside the file, over nothing else. Throws `DiskImageCorrupt`. */
export async function checkBlockTable(check: TableCheck): Promise<void> {
  const { file, metadata, regions } = check;
  const { chunkRatio, entryCount } = blockGeometry(metadata);
  if (regions.blockTable.lengthBytes < entryCount * entryBytes)
    throw imageCorrupt(
      file.path,
      `block table of ${regions.blockTable.lengthBytes} bytes for ${entryCount} entries`,
    );
  const entries = new EntryCheck(check, takeStructures(check));
  await scanTable(
    file.readInto,
    { offsetBytes: regions.blockTable.offsetBytes, entryBytes, count: entryCount },
    (index, chunk, at) => {
      const entry = readEntry(chunk, at);
      const isBitmap = index % (chunkRatio + 1) === chunkRatio;
      if (isBitmap) entries.checkBitmap(index, entry);
      else entries.checkBlock(index - Math.floor(index / (chunkRatio + 1)), entry);
    },
  );
}
