// What other programs make of the same images: QEMU, 7-Zip, libvhdi.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDisk } from '../../../../agent/disk/openDisk.ts';
import { SeededRandom } from '../../../fuzz/random.ts';
import { applyWrites, expectDisk, randomWrites } from '../../../support/images/diskModel.ts';
import { buildVhd } from '../../../support/images/vhdWriter.ts';
import { addPendingLog, buildVhdx, vhdxLayout } from '../../../support/images/vhdxWriter.ts';
import { findMissingTools, titleOf } from '../../../support/tools.ts';

const mib = 1024 * 1024;
const random = new SeededRandom(20_261_126);
const size = 16 * mib;
const base = randomWrites(random, size / 2, { count: 60 });
const change = randomWrites(random, size, { count: 60 });
const baseDisk = applyWrites(Buffer.alloc(size), base);
const childDisk = applyWrites(Buffer.from(baseDisk), change);
const guid = (digit: string): string => `${digit.repeat(8)}-0000-4000-8000-000000000000`;

let folder = '';
const at = (...names: string[]): string => join(folder, ...names);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lifeboat-interop-'));
  await writeFile(at('base.raw'), baseDisk);
  const locators = [{ code: 'W2ru' as const, text: '.\\base.vhd' }];
  const vhd = (options: { uniqueId: string; writes: typeof base }) => ({ sizeBytes: size, ...options });
  await writeFile(
    at('base.vhd'),
    buildVhd({ type: 'dynamic', ...vhd({ uniqueId: '1'.repeat(32), writes: base }) }),
  );
  const parent = { uniqueId: '1'.repeat(32), name: 'base.vhd', locators };
  await writeFile(
    at('child.vhd'),
    buildVhd({ type: 'differencing', parent, ...vhd({ uniqueId: '2'.repeat(32), writes: change }) }),
  );
  await writeFile(at('base.vhdx'), buildVhdx({ sizeBytes: size, dataWriteGuid: guid('1'), writes: base }));
  const paths = { relative_path: '.\\base.vhdx', absolute_win32_path: 'C:\\VMs\\base.vhdx' };
  await writeFile(
    at('child.avhdx'),
    buildVhdx({
      sizeBytes: size,
      dataWriteGuid: guid('2'),
      writes: change,
      parent: { linkage: guid('1'), paths },
    }),
  );
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const convert = async (format: string, name: string): Promise<Buffer> => {
  execFileSync('qemu-img', ['convert', '-f', format, '-O', 'raw', at(name), at('converted.raw')]);
  return readFile(at('converted.raw'));
};

async function expectSame(name: string, bytes: Buffer): Promise<void> {
  await using reader = await openDisk(at(name));
  await expectDisk(reader, bytes, random);
}

const noQemu = findMissingTools({ 'qemu-img': 'qemu-utils' });
describe.skipIf(noQemu)(titleOf('QEMU', noQemu), () => {
  it.each([
    ['vpc', 'subformat=fixed,force_size=on', 'fixed.vhd'],
    ['vpc', 'subformat=dynamic,force_size=on', 'dynamic.vhd'],
    ['vhdx', 'subformat=fixed', 'fixed.vhdx'],
    ['vhdx', 'subformat=dynamic', 'dynamic.vhdx'],
    ['vhdx', 'subformat=dynamic,block_size=1048576', 'small.vhdx'],
  ])('makes %s (%s) that reads as what was put in', async (format, options, name) => {
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', format, '-o', options, at('base.raw'), at(name)]);
    await expectSame(name, baseDisk);
  });

  it('sees the same disk in the images of the writers that these tests use', async () => {
    expect((await convert('vpc', 'base.vhd')).equals(baseDisk)).toBe(true);
    expect((await convert('vhdx', 'base.vhdx')).equals(baseDisk)).toBe(true);
    await expectSame('base.vhd', baseDisk);
    await expectSame('base.vhdx', baseDisk);
  });

  it('replays a pending log to the disk that was read through it before', async () => {
    const image = await readFile(at('base.vhdx'));
    const stale = Buffer.from(image);
    const { tableAt } = vhdxLayout;
    const block = tableAt + mib;
    // Four bytes of the first page are what the table must say; the block itself becomes something new.
    stale.fill(0, tableAt, tableAt + 4096);
    const page = random.bytes(4096);
    addPendingLog(
      stale,
      [
        { writes: [{ offset: tableAt, data: image.subarray(tableAt, tableAt + 4096) }] },
        {
          writes: [
            { offset: block + 8192, data: page },
            { offset: block + 65_536, zeroBytes: 16_384 },
          ],
        },
      ],
      { dataWriteGuid: guid('1'), startAt: mib - 3 * 4096 },
    );
    await writeFile(at('dirty.vhdx'), stale);
    await using reader = await openDisk(at('dirty.vhdx'));
    const ours = Buffer.from(await reader.read(0, size));
    await copyFile(at('dirty.vhdx'), at('repaired.vhdx'));
    expect(
      spawnSync('qemu-img', ['convert', '-f', 'vhdx', '-O', 'raw', at('dirty.vhdx'), at('no')]).status,
    ).toBe(1);
    execFileSync('qemu-img', ['check', '-q', '-r', 'all', '-f', 'vhdx', at('repaired.vhdx')]);
    expect((await convert('vhdx', 'repaired.vhdx')).equals(ours)).toBe(true);
    expect(ours.includes(page)).toBe(true);
    expect((await readFile(at('dirty.vhdx'))).equals(stale)).toBe(true);
  });
});

const noZip = findMissingTools({ '7zz': '7zip' });
describe.skipIf(noZip)(titleOf('7-Zip', noZip), () => {
  it.each(['child.vhd', 'child.avhdx'])('extracts the same disk from %s and its parent', async (name) => {
    const extracted = execFileSync('7zz', ['e', '-so', at(name)], { maxBuffer: 2 * size, stdio: 'pipe' });
    expect(extracted.equals(childDisk)).toBe(true);
    await expectSame(name, childDisk);
  });
});

const noVhdi = findMissingTools({ vhdiinfo: 'libvhdi-utils', vhdimount: 'libvhdi-utils' });
describe.skipIf(noVhdi)(titleOf('libvhdi', noVhdi), () => {
  it.each(['child.vhd', 'child.avhdx'])('reads the same ids from %s', async (name) => {
    const text = execFileSync('vhdiinfo', [at(name)], { stdio: 'pipe' }).toString();
    await using reader = await openDisk(at(name));
    const [child, parent] = reader.identity.chain;
    expect(text).toMatch(new RegExp(`\\tIdentifier\\s*: ${child?.imageId ?? ''}`));
    expect(text).toMatch(new RegExp(`Parent identifier\\s*: ${parent?.imageId ?? ''}`));
  });

  const noMount = !existsSync('/dev/fuse') || process.getuid?.() !== 0;
  it.skipIf(noMount)('mounts the same disks (needs root and /dev/fuse)', async () => {
    // Its VHD reader takes a run of sectors to the end of a byte of the bitmap: runs here begin and end at whole bytes.
    const whole = randomWrites(random, size, { count: 40, sectorBytes: 4096, maxSectors: 20 });
    const parent = {
      uniqueId: '1'.repeat(32),
      name: 'base.vhd',
      locators: [{ code: 'W2ru' as const, text: 'base.vhd' }],
    };
    const image = buildVhd({
      type: 'differencing',
      sizeBytes: size,
      uniqueId: '3'.repeat(32),
      writes: whole,
      parent,
    });
    await writeFile(at('whole.vhd'), image);
    const disks = { 'whole.vhd': applyWrites(Buffer.from(baseDisk), whole), 'child.avhdx': childDisk };
    for (const [name, disk] of Object.entries(disks)) {
      const mount = at(`mounted-${name}`);
      await mkdir(mount);
      execFileSync('vhdimount', [at(name), mount], { stdio: 'pipe' });
      try {
        expect((await readFile(join(mount, 'vhdi1'))).equals(baseDisk)).toBe(true);
        expect((await readFile(join(mount, 'vhdi2'))).equals(disk)).toBe(true);
      } finally {
        execFileSync('umount', [mount]);
      }
      await expectSame(name, disk);
    }
  });
});

const noNbd = findMissingTools({ 'qemu-img': 'qemu-utils', 'qemu-nbd': 'qemu-utils' });
describe.skipIf(noNbd)(titleOf('QCOW2', noNbd), () => {
  it('reads through qemu-nbd, with its backing file, and leaves nothing behind', async () => {
    execFileSync('qemu-img', ['convert', '-O', 'qcow2', '-f', 'raw', at('base.raw'), at('base.qcow2')]);
    const backing = ['-b', at('base.qcow2'), '-F', 'qcow2'];
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...backing, at('child.qcow2')]);
    const pieces = change.slice(0, 5);
    for (const { offset, data } of pieces) {
      await writeFile(at('piece'), data);
      const write = `write -q -s ${at('piece')} ${offset} ${data.length}`;
      execFileSync('qemu-io', ['-f', 'qcow2', '-c', write, at('child.qcow2')]);
    }
    const before = await readFile(at('child.qcow2'));
    const bytes = applyWrites(Buffer.from(baseDisk), pieces);
    await using reader = await openDisk(at('child.qcow2'));
    expect(reader.identity).toMatchObject({ format: 'qcow2' });
    expect(reader.identity.chain).toHaveLength(2);
    expect(await expectDisk(reader, bytes, random)).toBeLessThan(size);
    await reader.close();
    expect((await readFile(at('child.qcow2'))).equals(before)).toBe(true);
    await using again = await openDisk(at('child.qcow2'));
    expect(again.identity.id).toBe(reader.identity.id);
  });

  it('of which the backing file is missing, that is damaged, or that is none', async () => {
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', at('gone.qcow2'), '8M']);
    execFileSync('qemu-img', [
      'create',
      '-q',
      '-f',
      'qcow2',
      '-b',
      at('gone.qcow2'),
      '-F',
      'qcow2',
      at('orphan.qcow2'),
    ]);
    await rm(at('gone.qcow2'));
    await expect(openDisk(at('orphan.qcow2'))).rejects.toMatchObject({ code: 'BrokenVhdChain' });
    await writeFile(at('bad.qcow2'), Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), random.bytes(mib)]));
    await expect(openDisk(at('bad.qcow2'))).rejects.toMatchObject({ code: 'DiskImageCorrupt' });
    await expect(openDisk(at('base.raw'), { format: 'qcow2' })).rejects.toMatchObject({
      code: 'DiskImageCorrupt',
    });
  });
});
