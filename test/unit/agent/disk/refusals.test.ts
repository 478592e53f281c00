// What is no disk, or not the one it says: refused by name, before anything is read.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDisk } from '../../../../agent/disk/openDisk.ts';
import { buildVhd, sealVhd, vhdLayout } from '../../../support/images/vhdWriter.ts';
import { buildVhdx } from '../../../support/images/vhdxWriter.ts';

const mib = 1024 * 1024;
const guid = (digit: string): string => `${digit.repeat(8)}-0000-4000-8000-000000000000`;
const hexId = (digit: string): string => digit.repeat(32);

let folder = '';
const at = (name: string): string => join(folder, name);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lifeboat-disk-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('the format', () => {
  const image = (): Buffer => buildVhdx({ sizeBytes: 2 * mib, dataWriteGuid: guid('1'), writes: [] });

  it.each([
    ['guest.raw', image(), 'DiskImageUnsupported', 'looks like vhdx'],
    [
      'guest',
      buildVhd({ type: 'dynamic', sizeBytes: mib, uniqueId: hexId('1'), writes: [] }),
      'DiskImageUnsupported',
      'looks like vhd',
    ],
    [
      'guest.img',
      Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), Buffer.alloc(mib)]),
      'DiskImageUnsupported',
      'looks like qcow2',
    ],
    ['disk.vhdx', Buffer.alloc(mib), 'DiskImageCorrupt', 'named as vhdx'],
    ['disk.vhd', image(), 'DiskImageCorrupt', 'looks like vhdx'],
    ['disk.vmdk', Buffer.concat([Buffer.from('KDMV'), Buffer.alloc(mib)]), 'DiskImageUnsupported', 'VMDK'],
    ['odd.raw', Buffer.alloc(1000), 'DiskImageUnsupported', '1000 bytes'],
    ['empty.raw', Buffer.alloc(0), 'DiskImageUnsupported', '0 bytes'],
  ])('of %s is refused', async (name, bytes, code, reason) => {
    await writeFile(at(name), bytes);
    const error: unknown = await openDisk(at(name)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, target: at(name) });
    expect(String(error)).toContain(reason);
  });

  it('is what one says it is', async () => {
    await writeFile(at('guest.raw'), image());
    await using raw = await openDisk(at('guest.raw'), { format: 'raw' });
    expect(raw.sizeBytes).toBe(image().length);
    await using vhdx = await openDisk(at('guest.raw'), { format: 'vhdx' });
    expect(vhdx.sizeBytes).toBe(2 * mib);
    await expect(openDisk(at('guest.raw'), { format: 'nbd' })).rejects.toMatchObject({
      code: 'DiskImageUnsupported',
    });
  });

  it('of a missing file and of a folder', async () => {
    await expect(openDisk(at('none.vhdx'))).rejects.toMatchObject({ code: 'FileNotFound' });
    await expect(openDisk(folder)).rejects.toMatchObject({ code: 'FileUnreadable' });
  });
});

describe('a damaged image is refused before anything is read', () => {
  const vhd = (): Buffer =>
    buildVhd({
      type: 'dynamic',
      sizeBytes: 8 * mib,
      uniqueId: hexId('1'),
      writes: [0, 2, 4].map((block) => ({ offset: block * mib, data: Buffer.alloc(512, 1) })),
    });
  const withHeader = (change: (header: Buffer) => void): Buffer => {
    const file = vhd();
    const header = file.subarray(vhdLayout.headerAt, vhdLayout.headerAt + 1024);
    change(header);
    sealVhd(header, 36);
    return file;
  };
  const withTable = (change: (table: Buffer) => void): Buffer => {
    const file = vhd();
    change(file.subarray(vhdLayout.tableAt));
    return file;
  };

  it.each([
    [
      'a bit of the sparse header',
      () => {
        const file = vhd();
        file[600]! ^= 1;
        return file;
      },
      'wrong checksum',
    ],
    [
      'both footers',
      () => {
        const file = vhd();
        file[70]! ^= 1;
        file[file.length - 440]! ^= 1;
        return file;
      },
      'Checksum',
    ],
    [
      'a block outside the file',
      () => withTable((table) => table.writeUInt32BE(1_000_000, 0)),
      'outside the file',
    ],
    ['two blocks in one place', () => withTable((table) => table.copyWithin(0, 4, 8)), 'overlap'],
    [
      'a block over the table',
      () => withTable((table) => table.writeUInt32BE(vhdLayout.tableAt / 512, 12)),
      'lap',
    ],
    ['a block over the header', () => withTable((table) => table.writeUInt32BE(0, 0)), 'lies over'],
    ['too small a table', () => withHeader((header) => header.writeUInt32BE(2, 28)), 'entries'],
    [
      'a table outside the file',
      () => withHeader((header) => header.writeBigUInt64BE(2n ** 63n, 16)),
      'outside',
    ],
    ['a truncated file', () => vhd().subarray(0, 3 * mib), 'outside the file'],
  ])('VHD: %s', async (_, make, reason) => {
    await writeFile(at('disk.vhd'), make());
    const error: unknown = await openDisk(at('disk.vhd')).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'DiskImageCorrupt' });
    expect(String(error)).toContain(reason);
  });
});
