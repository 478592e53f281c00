// Writes VHDX files with chosen contents: differencing ones, every block state, pending logs. Written from MS-VHDX, with
// nothing of the reader under test.
import type { ImageWrite } from './vhdWriter.ts';

const mib = 1024 * 1024;
const guids = {
  blockTable: '2dc27766-f623-4200-9d64-115e9bfd4a08',
  metadata: '8b7ca206-4790-4b9a-b8fe-575f050f886e',
  fileParameters: 'caa16737-fa36-4d43-b3b6-33f0aa44e76b',
  virtualDiskSize: '2fa54224-cd1b-4876-b211-5dbed83bf4b8',
  virtualDiskId: 'beca12ab-b2e6-4523-93ef-c309e000c746',
  logicalSectorSize: '8141bf1d-a96f-4709-ba47-f233a8faab5f',
  physicalSectorSize: 'cda348c7-445d-4471-9cc9-e9885251c556',
  parentLocator: 'a8d35f2d-b30b-454d-abf7-d3d84834ab0c',
  vhdxLocator: 'b04aefb7-d19e-4a81-b789-25b8e9445913',
} as const;

export interface LogEntryPlan {
  /** 4 KiB of data each, or a length of zeros. */
  writes: readonly ({ offset: number; data: Uint8Array } | { offset: number; zeroBytes: number })[];
}

export interface VhdxOptions {
  sizeBytes: number;
  blockSizeBytes?: number;
  logicalSectorBytes?: number;
  dataWriteGuid: string;
  /** Whole sectors. */
  writes: readonly ImageWrite[];
  /** States for blocks without writes; 0 when not named. */
  states?: Readonly<Record<number, number>>;
  /** All blocks are there. */
  isFixed?: boolean;
  parent?: { linkage: string; linkage2?: string; paths: Readonly<Record<string, string>> };
  /** More regions and items, to be refused or ignored. */
  extraRegion?: { guid: string; isRequired: boolean };
  extraItem?: { guid: string; isRequired: boolean };
}

/** Bytes of a GUID with its first three fields little-endian. */
export function guidBytes(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll('-', ''), 'hex');
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

/** CRC-32C, bit by bit tables of sixteen: slow, plain, and not the one under test. */
export function plainCrc32c(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let half = 0; half < 2; half++) crc = (nibbles[crc & 15] ?? 0) ^ (crc >>> 4);
  }
  return ~crc >>> 0;
}
const nibbles = Array.from({ length: 16 }, (_, nibble) => {
  let crc = nibble;
  for (let bit = 0; bit < 4; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** Writes the checksum of a structure into its bytes 4 to 7. */
export function sealVhdx(structure: Buffer): Buffer {
  structure.writeUInt32LE(0, 4);
  structure.writeUInt32LE(plainCrc32c(structure), 4);
  return structure;
}

/** Where things are in the file that `buildVhdx` makes: what a test breaks on purpose. */
export const vhdxLayout = {
  headersAt: [64 * 1024, 128 * 1024],
  regionsAt: [192 * 1024, 256 * 1024],
  logAt: mib,
  logBytes: mib,
  metadataAt: 2 * mib,
  tableAt: 3 * mib,
} as const;

function header(sequence: number, dataWriteGuid: string, logGuid?: string): Buffer {
  const bytes = Buffer.alloc(4096);
  bytes.write('head', 0, 'latin1');
  bytes.writeBigUInt64LE(BigInt(sequence), 8);
  guidBytes(dataWriteGuid).copy(bytes, 16);
  guidBytes(dataWriteGuid).copy(bytes, 32);
  if (logGuid) guidBytes(logGuid).copy(bytes, 48);
  bytes.writeUInt16LE(1, 66);
  bytes.writeUInt32LE(vhdxLayout.logBytes, 68);
  bytes.writeBigUInt64LE(BigInt(vhdxLayout.logAt), 72);
  return sealVhdx(bytes);
}

function regionTable(tableBytes: number, extra: VhdxOptions['extraRegion'], extraAt: number): Buffer {
  const bytes = Buffer.alloc(64 * 1024);
  bytes.write('regi', 0, 'latin1');
  const rows: [string, number, number, boolean][] = [
    [guids.blockTable, vhdxLayout.tableAt, tableBytes, true],
    [guids.metadata, vhdxLayout.metadataAt, mib, true],
  ];
  if (extra) rows.push([extra.guid, extraAt, mib, extra.isRequired]);
  bytes.writeUInt32LE(rows.length, 8);
  rows.forEach(([guid, offset, length, isRequired], index) => {
    const at = 16 + index * 32;
    guidBytes(guid).copy(bytes, at);
    bytes.writeBigUInt64LE(BigInt(offset), at + 16);
    bytes.writeUInt32LE(length, at + 24);
    bytes.writeUInt32LE(isRequired ? 1 : 0, at + 28);
  });
  return sealVhdx(bytes);
}

function parentLocator({ linkage, linkage2, paths }: NonNullable<VhdxOptions['parent']>): Buffer {
  const pairs = Object.entries({
    parent_linkage: `{${linkage}}`,
    ...(linkage2 === undefined ? {} : { parent_linkage2: `{${linkage2}}` }),
    ...paths,
  });
  const head = Buffer.alloc(20 + 12 * pairs.length);
  guidBytes(guids.vhdxLocator).copy(head);
  head.writeUInt16LE(pairs.length, 18);
  const texts: Buffer[] = [];
  let at = head.length;
  pairs.forEach(([key, value], index) => {
    const keyBytes = Buffer.from(key, 'utf16le');
    const valueBytes = Buffer.from(value, 'utf16le');
    const entry = 20 + index * 12;
    head.writeUInt32LE(at, entry);
    head.writeUInt32LE(at + keyBytes.length, entry + 4);
    head.writeUInt16LE(keyBytes.length, entry + 8);
    head.writeUInt16LE(valueBytes.length, entry + 10);
    texts.push(keyBytes, valueBytes);
    at += keyBytes.length + valueBytes.length;
  });
  return Buffer.concat([head, ...texts]);
}

const uint32s = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32LE(value, 4 * index));
  return bytes;
};

function metadataRegion(options: VhdxOptions, blockSizeBytes: number, logicalSectorBytes: number): Buffer {
  const region = Buffer.alloc(mib);
  region.write('metadata', 0, 'latin1');
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(options.sizeBytes));
  const items: [string, Buffer, number][] = [
    [guids.fileParameters, uint32s(blockSizeBytes, (options.parent ? 2 : 0) + (options.isFixed ? 1 : 0)), 4],
    [guids.virtualDiskSize, size, 6],
    [guids.virtualDiskId, guidBytes(options.dataWriteGuid), 6],
    [guids.logicalSectorSize, uint32s(logicalSectorBytes), 6],
    [guids.physicalSectorSize, uint32s(4096), 6],
  ];
  if (options.parent) items.push([guids.parentLocator, parentLocator(options.parent), 4]);
  if (options.extraItem)
    items.push([options.extraItem.guid, Buffer.alloc(8), options.extraItem.isRequired ? 4 : 0]);
  region.writeUInt16LE(items.length, 10);
  let at = 64 * 1024;
  items.forEach(([guid, bytes, flags], index) => {
    const entry = 32 + index * 32;
    guidBytes(guid).copy(region, entry);
    region.writeUInt32LE(at, entry + 16);
    region.writeUInt32LE(bytes.length, entry + 20);
    region.writeUInt32LE(flags, entry + 24);
    bytes.copy(region, at);
    at += Math.ceil(bytes.length / 8) * 8;
  });
  return region;
}

/** The whole file: headers, log, metadata, table, then bitmaps and blocks as they are needed. */
export function buildVhdx(options: VhdxOptions): Buffer {
  const {
    sizeBytes,
    blockSizeBytes = 2 * mib,
    logicalSectorBytes = 512,
    writes,
    states = {},
    parent,
  } = options;
  const ratio = (2 ** 23 * logicalSectorBytes) / blockSizeBytes;
  const blockCount = Math.ceil(sizeBytes / blockSizeBytes);
  const chunkCount = Math.ceil(blockCount / ratio);
  const tableBytes = Math.ceil((chunkCount * (ratio + 1) * 8) / mib) * mib;
  const table = Buffer.alloc(tableBytes);
  const parts: Buffer[] = [];
  let fileAt = vhdxLayout.tableAt + tableBytes;
  const append = (bytes: Buffer): number => {
    const at = fileAt;
    parts.push(bytes);
    fileAt += bytes.length;
    return at;
  };
  const setEntry = (index: number, state: number, offset = 0): void => {
    table.writeBigUInt64LE(BigInt(state) | (BigInt(offset / mib) << 20n), index * 8);
  };
  for (const [block, state] of Object.entries(states))
    setEntry(Number(block) + Math.floor(Number(block) / ratio), state);
  const bitmaps = new Map<number, Buffer>();
  const blocks = new Map<number, Buffer>();
  const getBitmap = (chunk: number): Buffer => {
    let bitmap = bitmaps.get(chunk);
    if (!bitmap) {
      bitmap = Buffer.alloc(mib);
      bitmaps.set(chunk, bitmap);
      setEntry(chunk * (ratio + 1) + ratio, 6, append(bitmap));
    }
    return bitmap;
  };
  const getBlock = (index: number): Buffer => {
    let block = blocks.get(index);
    if (!block) {
      block = Buffer.alloc(blockSizeBytes);
      blocks.set(index, block);
      setEntry(index + Math.floor(index / ratio), parent ? 7 : 6, append(block));
    }
    return block;
  };
  for (let index = 0; options.isFixed && index < blockCount; index++) getBlock(index);
  for (const { offset, data } of writes) {
    for (let done = 0; done < data.length; done += logicalSectorBytes) {
      const at = offset + done;
      const index = Math.floor(at / blockSizeBytes);
      const block = getBlock(index);
      block.set(data.subarray(done, done + logicalSectorBytes), at % blockSizeBytes);
      if (!parent) continue;
      const bitmap = getBitmap(Math.floor(index / ratio));
      const bit =
        (index % ratio) * (blockSizeBytes / logicalSectorBytes) + (at % blockSizeBytes) / logicalSectorBytes;
      bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7));
    }
  }
  const extraAt = options.extraRegion ? append(Buffer.alloc(mib)) : 0;
  const head = Buffer.alloc(vhdxLayout.tableAt);
  head.write('vhdxfile', 0, 'latin1');
  vhdxLayout.headersAt.forEach((at, index) => header(index + 1, options.dataWriteGuid).copy(head, at));
  for (const at of vhdxLayout.regionsAt) regionTable(tableBytes, options.extraRegion, extraAt).copy(head, at);
  metadataRegion(options, blockSizeBytes, logicalSectorBytes).copy(head, vhdxLayout.metadataAt);
  return Buffer.concat([head, table, ...parts]);
}

function logEntry(
  { writes }: LogEntryPlan,
  place: { sequence: bigint; tail: number; logGuid: string; fileBytes: number },
): Buffer {
  const areaBytes = Math.ceil((64 + writes.length * 32) / 4096) * 4096;
  const dataCount = writes.filter((write) => 'data' in write).length;
  const entry = Buffer.alloc(areaBytes + dataCount * 4096);
  entry.write('loge', 0, 'latin1');
  entry.writeUInt32LE(entry.length, 8);
  entry.writeUInt32LE(place.tail, 12);
  entry.writeBigUInt64LE(place.sequence, 16);
  entry.writeUInt32LE(writes.length, 24);
  guidBytes(place.logGuid).copy(entry, 32);
  entry.writeBigUInt64LE(BigInt(place.fileBytes), 48);
  entry.writeBigUInt64LE(BigInt(place.fileBytes), 56);
  let dataAt = areaBytes;
  writes.forEach((write, index) => {
    const at = 64 + index * 32;
    entry.writeBigUInt64LE(BigInt(write.offset), at + 16);
    entry.writeBigUInt64LE(place.sequence, at + 24);
    if ('data' in write) {
      const data = Buffer.from(write.data);
      entry.write('desc', at, 'latin1');
      data.copy(entry, at + 4, 4092, 4096);
      data.copy(entry, at + 8, 0, 8);
      data.copy(entry, dataAt);
      entry.write('data', dataAt, 'latin1');
      entry.writeUInt32LE(Number(place.sequence >> 32n), dataAt + 4);
      entry.writeUInt32LE(Number(place.sequence & 0xffff_ffffn), dataAt + 4092);
      dataAt += 4096;
    } else {
      entry.write('zero', at, 'latin1');
      entry.writeBigUInt64LE(BigInt(write.zeroBytes), at + 8);
    }
  });
  return sealVhdx(entry);
}

/**
 * Gives the image a log that waits for replay: the entries lie one after another from `startAt` of the log on, and go on
 * at its beginning. `image` is changed.
 */
export function addPendingLog(
  image: Buffer,
  entries: readonly LogEntryPlan[],
  options: { startAt?: number; firstSequence?: bigint; logGuid?: string; dataWriteGuid: string },
): void {
  const { startAt = 0, firstSequence = 7n, logGuid = '6f2c1d50-9f7e-4c0b-8a55-0c5d6b1f7a11' } = options;
  let at = startAt;
  entries.forEach((plan, index) => {
    const sequence = firstSequence + BigInt(index);
    const bytes = logEntry(plan, { sequence, tail: startAt, logGuid, fileBytes: image.length });
    const untilEnd = Math.min(bytes.length, vhdxLayout.logBytes - at);
    bytes.copy(image, vhdxLayout.logAt + at, 0, untilEnd);
    bytes.copy(image, vhdxLayout.logAt, untilEnd);
    at = (at + bytes.length) % vhdxLayout.logBytes;
  });
  vhdxLayout.headersAt.forEach((headerAt, index) =>
    header(index + 1, options.dataWriteGuid, logGuid).copy(image, headerAt),
  );
}
