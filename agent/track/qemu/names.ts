// The names that we give to things inside QEMU: known by their prefix after a crash, and never anybody else's.
import { randomBytes } from 'node:crypto';

const prefix = 'lifeboat-';
const bitmapPrefix = 'lifeboat/';

/** Nodes and the export of one disk's view. QEMU allows 31 characters, and one view of a disk is open at a time. */
export interface ViewNames {
  scratch: string;
  filter: string;
  view: string;
  exportId: string;
}

export function viewNames(diskIndex: number): ViewNames {
  return {
    scratch: `${prefix}scratch-${diskIndex}`,
    filter: `${prefix}filter-${diskIndex}`,
    view: `${prefix}view-${diskIndex}`,
    exportId: `${prefix}export-${diskIndex}`,
  };
}

/** True for nodes and exports that we made. */
export const isOurs = (name: string): boolean => name.startsWith(prefix);

/** The bitmap that records what changed on the disk since the reference. */
export const bitmapName = (disk: string, reference: string): string => `${bitmapPrefix}${disk}/${reference}`;

/** True for bitmaps that we made for this disk. */
export const isBitmapOf = (disk: string, name: string): boolean => name.startsWith(`${bitmapPrefix}${disk}/`);

/** A reference that no earlier one equals. */
export function newReference(now: Date): string {
  return `${now.toISOString().replaceAll(/[-:.]/g, '').toLowerCase()}-${randomBytes(4).toString('hex')}`;
}
