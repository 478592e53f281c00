// The metadata of a VHDX (MS-VHDX 2.6): sizes, and who the parent is.
import { imageCorrupt, imageUnsupported } from '../errors.ts';
import { guidFromMixedEndian } from '../guid.ts';
import { mebibyte, readUInt64 } from './header.ts';
import { readOverlaid, type OverlaidFile, type VhdxRegion } from './regions.ts';

const tableBytes = 64 * 1024;
const entryBytes = 32;
const maxEntries = 2047;
const maxItemBytes = mebibyte;
const maxVirtualSizeBytes = 64 * 1024 ** 4;
const maxBlockBytes = 256 * mebibyte;
const vhdxLocatorType = 'b04aefb7-d19e-4a81-b789-25b8e9445913';

const itemNames = {
  'caa16737-fa36-4d43-b3b6-33f0aa44e76b': 'fileParameters',
  '2fa54224-cd1b-4876-b211-5dbed83bf4b8': 'virtualDiskSize',
  'beca12ab-b2e6-4523-93ef-c309e000c746': 'virtualDiskId',
  '8141bf1d-a96f-4709-ba47-f233a8faab5f': 'logicalSectorSize',
  'cda348c7-445d-4471-9cc9-e9885251c556': 'physicalSectorSize',
  'a8d35f2d-b30b-454d-abf7-d3d84834ab0c': 'parentLocator',
} as const;
type ItemName = (typeof itemNames)[keyof typeof itemNames];

export interface VhdxMetadata {
  /** Page 83 of the disk, which its guest sees: it stays as long as the disk lives. Undefined where the image has none. */
  virtualDiskId: string | undefined;
  /** A fixed disk: all its blocks have their places from the start. */
  isFixed: boolean;
  blockSizeBytes: number;
  sizeBytes: number;
  logicalSectorSizeBytes: number;
  /** The key-value pairs of the parent locator; undefined when there is no parent. */
  parentLocator: ReadonlyMap<string, string> | undefined;
}

async function readItems(file: OverlaidFile, region: VhdxRegion): Promise<Map<ItemName, Buffer>> {
  const table = await readOverlaid(file, region.offsetBytes, tableBytes);
  if (table.toString('latin1', 0, 8) !== 'metadata')
    throw imageCorrupt(file.path, 'its metadata table has no signature');
  const count = table.readUInt16LE(10);
  if (count > maxEntries) throw imageCorrupt(file.path, `metadata table with ${count} entries`);
  const items = new Map<ItemName, Buffer>();
  for (let index = 0; index < count; index++) {
    const entry = table.subarray(32 + index * entryBytes, 32 + (index + 1) * entryBytes);
    const guid = guidFromMixedEndian(entry.subarray(0, 16));
    const offsetBytes = entry.readUInt32LE(16);
    const lengthBytes = entry.readUInt32LE(20);
    const isUser = (entry.readUInt32LE(24) & 1) !== 0;
    const isRequired = (entry.readUInt32LE(24) & 4) !== 0;
    const name = !isUser && guid in itemNames ? itemNames[guid as keyof typeof itemNames] : undefined;
    if (name === undefined) {
      if (isRequired)
        throw imageUnsupported(file.path, `needs metadata item ${guid}, which is not known here`);
      continue;
    }
    const isPlaced =
      offsetBytes >= tableBytes &&
      lengthBytes <= maxItemBytes &&
      offsetBytes + lengthBytes <= region.lengthBytes;
    if (!isPlaced) throw imageCorrupt(file.path, `metadata item ${name} lies outside its region`);
    if (items.has(name)) throw imageCorrupt(file.path, `two metadata items ${name}`);
    items.set(name, await readOverlaid(file, region.offsetBytes + offsetBytes, lengthBytes));
  }
  return items;
}

function parseParentLocator(file: OverlaidFile, item: Buffer): Map<string, string> {
  const type = item.length >= 20 ? guidFromMixedEndian(item.subarray(0, 16)) : 'none';
  if (type !== vhdxLocatorType)
    throw imageUnsupported(file.path, `a parent locator of type ${type}, which is not known here`);
  const pairs = new Map<string, string>();
  const textAt = (offset: number, length: number): string => {
    if (offset + length > item.length) throw imageCorrupt(file.path, 'a text of its parent locator is cut');
    return item.toString('utf16le', offset, offset + length).split('\0', 1)[0] ?? '';
  };
  const count = item.readUInt16LE(18);
  for (let index = 0; index < count; index++) {
    const at = 20 + index * 12;
    if (at + 12 > item.length) throw imageCorrupt(file.path, 'its parent locator is cut');
    const key = textAt(item.readUInt32LE(at), item.readUInt16LE(at + 8));
    pairs.set(key, textAt(item.readUInt32LE(at + 4), item.readUInt16LE(at + 10)));
  }
  return pairs;
}

/** Throws `DiskImageCorrupt`, and `DiskImageUnsupported` for an unknown item that is required. */
export async function readVhdxMetadata(file: OverlaidFile, region: VhdxRegion): Promise<VhdxMetadata> {
  const items = await readItems(file, region);
  const getItem = (name: ItemName, lengthBytes: number): Buffer => {
    const item = items.get(name);
    if (!item || item.length < lengthBytes)
      throw imageCorrupt(file.path, `metadata item ${name} is missing or cut`);
    return item;
  };
  const requireThat = (holds: boolean, what: string): void => {
    if (!holds) throw imageCorrupt(file.path, what);
  };
  const parameters = getItem('fileParameters', 8);
  const blockSizeBytes = parameters.readUInt32LE(0);
  const isPowerOfTwo = (blockSizeBytes & (blockSizeBytes - 1)) === 0;
  requireThat(
    isPowerOfTwo && blockSizeBytes >= mebibyte && blockSizeBytes <= maxBlockBytes,
    `blocks of ${blockSizeBytes} bytes`,
  );
  const logicalSectorSizeBytes = getItem('logicalSectorSize', 4).readUInt32LE(0);
  requireThat([512, 4096].includes(logicalSectorSizeBytes), `sectors of ${logicalSectorSizeBytes} bytes`);
  const sizeBytes = readUInt64(getItem('virtualDiskSize', 8), 0);
  requireThat(
    sizeBytes > 0 && sizeBytes <= maxVirtualSizeBytes && sizeBytes % logicalSectorSizeBytes === 0,
    `a disk of ${sizeBytes} bytes`,
  );
  const hasParent = (parameters.readUInt32LE(4) & 2) !== 0;
  const id = items.get('virtualDiskId');
  return {
    virtualDiskId: id?.length === 16 ? guidFromMixedEndian(id) : undefined,
    isFixed: (parameters.readUInt32LE(4) & 1) !== 0,
    blockSizeBytes,
    sizeBytes,
    logicalSectorSizeBytes,
    parentLocator: hasParent ? parseParentLocator(file, getItem('parentLocator', 20)) : undefined,
  };
}
