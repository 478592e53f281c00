// What the steps of the demo share: the source machine, the service, and where everything is kept.
import { join } from 'node:path';
import type { BlobServiceClient } from '@azure/storage-blob';
import type { ServiceClient } from '../../agent/serviceClient.ts';
import type { VaultClient } from '../../agent/vaultClient.ts';
import type { Guest } from './guest.ts';
import type { Narrator } from './narrator.ts';
import type { TrackedDisk } from './trackedDisk.ts';

export const site = 'demo-site';
export const item = 'demo-vm';
export const machine = { id: '7f0e9a52-3c1d-4d1b-9f65-0d5b1c2e8a44', name: 'Demo VM' };

export interface Demo {
  narrator: Narrator;
  signal: AbortSignal;
  /** Folder of the built project. */
  root: string;
  /** The demo's own folder; removed at the end. */
  folder: string;
  /** Data folder of the local host. */
  dataDirectory: string;
  client: ServiceClient;
  vault: VaultClient;
  /** The account, as somebody without our command would use it. */
  blobs: BlobServiceClient;
  guest: Guest;
  /** System disk first. */
  disks: readonly TrackedDisk[];
  /** Names the protected item below the vault. */
  itemSegments: readonly string[];
}

/** Where the copy of a disk is kept that was frozen for a cycle. */
export function frozenPath({ folder }: Pick<Demo, 'folder'>, cycle: number, disk: string): string {
  return join(folder, 'frozen', `${cycle}-${disk}.raw`);
}
