// VHD: fixed, dynamic, differencing.
import { isLifeboatError } from '../../../lib/errors.ts';
import type { ByteRange } from '../../../lib/storage/ports.ts';
import { parseVhdFooter, vhdFooterSizeBytes, type VhdFooter } from '../../../lib/vhd/fixed.ts';
import { imageCorrupt, imageUnsupported } from '../errors.ts';
import { ImageDisk, type ImageLayout } from '../imageDisk.ts';
import type { ImageFile } from '../imageFile.ts';
import { PageCache } from '../pageCache.ts';
import type { OpenParent } from '../parents.ts';
import { PlacementList, splitByBitmap, type Placement } from '../placement.ts';
import type { DiskReader } from '../reader.ts';
import { absentBlock, bitmapBytes, checkBlockTable } from './blockTable.ts';
import {
  maxDynamicSizeBytes,
  readParentLocators,
  readSparseHeader,
  sectorBytes,
  type SparseHeader,
} from './sparseHeader.ts';

const cookie = 'conectix';
const vhdBitmap = { sectorSizeBytes: sectorBytes, lowestBitFirst: false };

/** What the footer says, and where its sparse header is. */
interface Footer extends VhdFooter {
  headerOffsetBytes: number;
}

function decodeFooter(bytes: Buffer): Footer {
  const headerOffset = bytes.readBigUInt64BE(16);
  const headerOffsetBytes = headerOffset > BigInt(Number.MAX_SAFE_INTEGER) ? Infinity : Number(headerOffset);
  return { ...parseVhdFooter(bytes), headerOffsetBytes };
}

/** True when the file begins or ends as a VHD does, whether or not the rest is right. */
export async function looksLikeVhd(file: ImageFile): Promise<boolean> {
  if (file.sizeBytes < vhdFooterSizeBytes) return false;
  const isCookie = async (offset: number): Promise<boolean> =>
    (await file.read(offset, cookie.length)).toString('latin1') === cookie;
  return (await isCookie(file.sizeBytes - vhdFooterSizeBytes)) || (await isCookie(0));
}

/** The footer at the end; for images that have a copy in front, that one when the one at the end is damaged. */
async function readFooter(file: ImageFile): Promise<Footer> {
  if (file.sizeBytes < vhdFooterSizeBytes) throw imageCorrupt(file.path, 'is too short for a VHD');
  try {
    return decodeFooter(await file.read(file.sizeBytes - vhdFooterSizeBytes, vhdFooterSizeBytes));
  } catch (error) {
    if (!isLifeboatError(error, 'InvalidRequest')) throw error;
    try {
      const copy = decodeFooter(await file.read(0, vhdFooterSizeBytes));
      if (copy.diskType !== 'fixed') return copy;
    } catch (copyError) {
      if (!isLifeboatError(copyError, 'InvalidRequest')) throw copyError;
    }
    throw imageCorrupt(file.path, `${error.message}; no good copy of the footer in front either`);
  }
}

/** Where the bytes of a dynamic or differencing VHD are. */
class VhdBlocks {
  readonly #tables: PageCache;
  readonly #header: SparseHeader;
  readonly #isDifferencing: boolean;
  readonly #bitmapBytes: number;

  constructor(tables: PageCache, header: SparseHeader, isDifferencing: boolean) {
    this.#tables = tables;
    this.#header = header;
    this.#isDifferencing = isDifferencing;
    this.#bitmapBytes = bitmapBytes(header.blockSizeBytes);
  }

  async locate({ offsetBytes, lengthBytes }: ByteRange): Promise<Placement[]> {
    const { blockSizeBytes, tableOffsetBytes } = this.#header;
    const placements = new PlacementList();
    const end = offsetBytes + lengthBytes;
    const first = Math.floor(offsetBytes / blockSizeBytes);
    const count = Math.ceil(end / blockSizeBytes) - first;
    const table = count > 0 ? await this.#tables.read(tableOffsetBytes + first * 4, count * 4) : undefined;
    for (let index = 0; table && index < count; index++) {
      const originBytes = (first + index) * blockSizeBytes;
      const from = Math.max(offsetBytes, originBytes);
      const range = { offsetBytes: from, lengthBytes: Math.min(end, originBytes + blockSizeBytes) - from };
      const sector = table.readUInt32BE(index * 4);
      if (sector === absentBlock) placements.add(this.#isDifferencing ? 'parent' : 'zero', range);
      else await this.#addBlock(placements, range, originBytes, sector * sectorBytes);
    }
    return placements.items;
  }

  async #addBlock(
    placements: PlacementList,
    range: ByteRange,
    originBytes: number,
    blockOffset: number,
  ): Promise<void> {
    const dataDistance = blockOffset + this.#bitmapBytes - originBytes;
    // A dynamic disk has whole blocks: writers differ in what they put into its bitmaps, readers ignore them.
    if (!this.#isDifferencing) {
      placements.add('file', range, range.offsetBytes + dataDistance);
      return;
    }
    const firstByte = Math.floor((range.offsetBytes - originBytes) / sectorBytes / 8);
    const lastByte = Math.floor((range.offsetBytes + range.lengthBytes - 1 - originBytes) / sectorBytes / 8);
    const bytes = await this.#tables.read(blockOffset + firstByte, lastByte - firstByte + 1);
    const bitmap = { bytes, firstSector: firstByte * 8, originBytes };
    for (const { range: part, isPresent } of splitByBitmap(range, bitmap, vhdBitmap))
      if (isPresent) placements.add('file', part, part.offsetBytes + dataDistance);
      else placements.add('parent', part);
  }
}

async function sparseLayout(
  file: ImageFile,
  footer: Footer,
  header: SparseHeader,
): Promise<Pick<ImageLayout, 'locate'>> {
  if (footer.sizeBytes > maxDynamicSizeBytes)
    throw imageUnsupported(file.path, `a ${footer.diskType} VHD of ${footer.sizeBytes} bytes`);
  await checkBlockTable(file, header, Math.ceil(footer.sizeBytes / header.blockSizeBytes));
  const tables = new PageCache((target, offset) => file.readInto(target, offset), file.sizeBytes);
  const blocks = new VhdBlocks(tables, header, footer.diskType === 'differencing');
  return { locate: (range) => blocks.locate(range) };
}

function fixedLayout(file: ImageFile, footer: Footer): Pick<ImageLayout, 'locate'> {
  const roomBytes = file.sizeBytes - vhdFooterSizeBytes;
  if (footer.sizeBytes > roomBytes)
    throw imageCorrupt(
      file.path,
      `a fixed VHD of ${footer.sizeBytes} bytes with ${roomBytes} before its footer`,
    );
  return {
    locate: (range) => Promise.resolve([{ ...range, place: 'file', fileOffsetBytes: range.offsetBytes }]),
  };
}

/** Opens a VHD. The file is the reader's from then on; when this throws, it stays the caller's. */
export async function openVhd(file: ImageFile, openParent: OpenParent): Promise<DiskReader> {
  const footer = await readFooter(file);
  const { sizeBytes, diskType, uniqueId } = footer;
  if (sizeBytes === 0 || sizeBytes % sectorBytes !== 0)
    throw imageCorrupt(file.path, `a disk of ${sizeBytes} bytes, which are no whole sectors`);
  const header = diskType === 'fixed' ? undefined : await readSparseHeader(file, footer.headerOffsetBytes);
  const places = header ? await sparseLayout(file, footer, header) : fixedLayout(file, footer);
  const layout: ImageLayout = {
    ...places,
    format: 'vhd',
    link: { location: file.path, variant: `vhd ${diskType}`, imageId: uniqueId },
    versionText: file.versionText,
    sizeBytes,
    // The current size of the footer, never the rounded geometry.
    logicalSectorSizeBytes: sectorBytes,
    readInto: (target, offset) => file.readInto(target, offset),
    fd: file.fd,
    closeFile: () => file.close(),
  };
  if (!header || diskType !== 'differencing') return new ImageDisk(layout);
  const parent = await openParent({
    childPath: file.path,
    childSizeBytes: sizeBytes,
    format: 'vhd',
    locators: await readParentLocators(file, header),
    parentIds: [header.parentId],
  });
  return new ImageDisk(layout, parent);
}
