// Writes VHDs that no tool on Linux makes: differencing ones, odd block sizes, chosen ids. Written from the
// specification, with nothing of the reader under test.

export interface ImageWrite {
  offset: number;
  data: Uint8Array;
}

export interface VhdOptions {
  type: 'dynamic' | 'differencing';
  sizeBytes: number;
  /** 32 hex digits. */
  uniqueId: string;
  blockSizeBytes?: number;
  /** Whole sectors. */
  writes: readonly ImageWrite[];
  parent?: {
    uniqueId: string;
    name: string;
    locators: readonly { code: 'W2ru' | 'W2ku' | 'MacX'; text: string }[];
  };
}

const sector = 512;

/** Ones' complement of the byte sum without the field's own four bytes. */
export function sealVhd(structure: Buffer, checksumAt: number): Buffer {
  structure.writeUInt32BE(0, checksumAt);
  let sum = 0;
  for (const byte of structure) sum += byte;
  structure.writeUInt32BE(~sum >>> 0, checksumAt);
  return structure;
}

function vhdFooter(type: 2 | 3 | 4, sizeBytes: number, uniqueId: string): Buffer {
  const footer = Buffer.alloc(sector);
  footer.write('conectix', 0, 'latin1');
  footer.writeUInt32BE(2, 8);
  footer.writeUInt32BE(0x10000, 12);
  footer.writeBigUInt64BE(type === 2 ? 0xffff_ffff_ffff_ffffn : 512n, 16);
  footer.writeUInt32BE(700_000_000, 24);
  footer.write('win ', 28, 'latin1');
  footer.writeUInt32BE(0x000a0000, 32);
  footer.write('Wi2k', 36, 'latin1');
  footer.writeBigUInt64BE(BigInt(sizeBytes), 40);
  footer.writeBigUInt64BE(BigInt(sizeBytes), 48);
  footer.writeUInt16BE(Math.min(65_535, Math.floor(sizeBytes / sector / 4 / 17)), 56);
  footer.writeUInt8(4, 58);
  footer.writeUInt8(17, 59);
  footer.writeUInt32BE(type, 60);
  footer.write(uniqueId, 68, 'hex');
  return sealVhd(footer, 64);
}

function locatorData({ code, text }: { code: string; text: string }): Buffer {
  return code === 'MacX' ? Buffer.from(text, 'utf8') : Buffer.from(text, 'utf16le');
}

/** Where things are in the file that `buildVhd` makes: what a test breaks on purpose. */
export const vhdLayout = { headerAt: 512, locatorsAt: 1536, tableAt: 8192 } as const;

/** The whole file: footer copy, header, locators, table, blocks in the order of their first write, footer. */
export function buildVhd(options: VhdOptions): Buffer {
  const { type, sizeBytes, uniqueId, blockSizeBytes = 2 * 1024 * 1024, writes, parent } = options;
  const blockCount = Math.ceil(sizeBytes / blockSizeBytes);
  const bitmapBytes = Math.ceil(blockSizeBytes / sector / 8 / sector) * sector;
  const footer = vhdFooter(type === 'dynamic' ? 3 : 4, sizeBytes, uniqueId);
  const header = Buffer.alloc(1024);
  header.write('cxsparse', 0, 'latin1');
  header.fill(0xff, 8, 16);
  header.writeBigUInt64BE(BigInt(vhdLayout.tableAt), 16);
  header.writeUInt32BE(0x10000, 24);
  header.writeUInt32BE(blockCount, 28);
  header.writeUInt32BE(blockSizeBytes, 32);
  const head = Buffer.alloc(vhdLayout.tableAt);
  if (parent) {
    header.write(parent.uniqueId, 40, 'hex');
    Buffer.from(parent.name, 'utf16le').swap16().copy(header, 64);
    parent.locators.forEach((locator, index) => {
      const at = 576 + index * 24;
      const data = locatorData(locator);
      const dataAt = vhdLayout.locatorsAt + index * 512;
      header.write(locator.code, at, 'latin1');
      header.writeUInt32BE(512, at + 4);
      header.writeUInt32BE(data.length, at + 8);
      header.writeBigUInt64BE(BigInt(dataAt), at + 16);
      data.copy(head, dataAt);
    });
  }
  footer.copy(head, 0);
  sealVhd(header, 36).copy(head, vhdLayout.headerAt);
  const table = Buffer.alloc(Math.ceil((blockCount * 4) / sector) * sector, 0xff);
  const blocks = new Map<number, { bitmap: Buffer; data: Buffer }>();
  for (const { offset, data } of writes) {
    for (let done = 0; done < data.length; done += sector) {
      const at = offset + done;
      const index = Math.floor(at / blockSizeBytes);
      let block = blocks.get(index);
      if (!block) {
        block = { bitmap: Buffer.alloc(bitmapBytes), data: Buffer.alloc(blockSizeBytes) };
        blocks.set(index, block);
      }
      const inBlock = (at % blockSizeBytes) / sector;
      block.bitmap[inBlock >> 3] = (block.bitmap[inBlock >> 3] ?? 0) | (0x80 >> (inBlock & 7));
      block.data.set(data.subarray(done, done + sector), at % blockSizeBytes);
    }
  }
  const parts: Buffer[] = [head, table];
  let fileSector = (head.length + table.length) / sector;
  for (const [index, { bitmap, data }] of blocks) {
    table.writeUInt32BE(fileSector, index * 4);
    parts.push(type === 'dynamic' ? bitmap.fill(0xff) : bitmap, data);
    fileSector += (bitmap.length + data.length) / sector;
  }
  return Buffer.concat([...parts, footer]);
}
