// The bootable test disk proves by its serial line which bytes were booted.
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bootLine, writeBootableDisk } from '../support/guest/bootSector.ts';
import { Guest } from '../support/guest/qemuGuest.ts';
import { findMissingTools, titleOf } from '../support/tools.ts';

const missing = findMissingTools({ 'qemu-system-x86_64': 'qemu-system-x86' });
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lb-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function bootedLine(path: string): Promise<string> {
  const guest = await Guest.start({ folder, disks: [{ path, format: 'raw' }] });
  try {
    await guest.waitUntilEnded();
    return await guest.readSerial();
  } finally {
    await guest.kill();
    await rm(join(folder, 'qmp'), { force: true });
  }
}

describe.skipIf(missing)(titleOf('a bootable disk', missing), () => {
  it('prints the marker that is on it, powers off, and is not changed', async () => {
    const path = join(folder, 'disk.raw');
    await writeBootableDisk(path, { sizeBytes: 1024 * 1024, marker: 'one' });
    const before = await readFile(path);
    expect(await bootedLine(path)).toContain(`${bootLine('one')}\r\n`);
    expect((await readFile(path)).equals(before)).toBe(true);
    const file = await open(path, 'r+');
    await file.write('two', 512, 'latin1');
    await file.close();
    expect(await bootedLine(path)).toContain(`${bootLine('two')}\r\n`);
  });
});
