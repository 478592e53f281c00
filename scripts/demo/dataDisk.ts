// The demo's data disk: 33 MiB and 4 KiB, so that its replica needs padding to a whole MiB, with a database-like load:
// a hot page that is written again and again, a growing journal, regions that become zero.
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { writeFully } from '../../agent/fileWrite.ts';
import type { HrlWrite } from '../../lib/hrl/writer.ts';

const kib = 1024;
const mib = 1024 * kib;
export const dataDiskBytes = 33 * mib + 4 * kib;

export async function makeDataDisk(path: string): Promise<void> {
  await using handle = await open(path, 'w');
  await handle.truncate(dataDiskBytes);
  await writeFully(handle, 0, randomBytes(6 * mib));
  await writeFully(handle, 20 * mib, randomBytes(5 * mib));
  await writeFully(handle, dataDiskBytes - 512, randomBytes(512));
}

/** The writes of one round. The last sector of the disk changes in every one. */
export function planDataWrites(round: number): HrlWrite[] {
  const journalOffset = 8 * mib + round * 300 * kib;
  return [
    { diskOffset: 64 * kib, data: randomBytes(8 * kib) },
    { diskOffset: journalOffset, data: randomBytes(256 * kib) },
    { diskOffset: 64 * kib, data: randomBytes(8 * kib) },
    { diskOffset: 20 * mib + round * 512 * kib, data: new Uint8Array(512 * kib) },
    { diskOffset: 4 * mib + round * 12 * kib, data: randomBytes(4 * kib) },
    { diskOffset: dataDiskBytes - 512, data: randomBytes(512) },
  ];
}
