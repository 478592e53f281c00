// Every format gives the bytes of its disk, at any offset, and its source stays as it was.
import { createHash } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, readlink, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDisk } from '../../../../agent/disk/openDisk.ts';
import { formatFixedVhdFooter } from '../../../../lib/vhd/fixed.ts';
import { SeededRandom } from '../../../fuzz/random.ts';
import { applyWrites, expectDisk, randomWrites } from '../../../support/images/diskModel.ts';
import { buildVhd } from '../../../support/images/vhdWriter.ts';
import { buildVhdx } from '../../../support/images/vhdxWriter.ts';

const mib = 1024 * 1024;
const seed = 20_261_124;
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

/** Digest and mode of every file of the folder. */
async function folderState(): Promise<string[]> {
  const names = (await readdir(folder)).sort();
  return Promise.all(
    names.map(
      async (name) =>
        `${name} ${createHash('sha256')
          .update(await readFile(at(name)))
          .digest('hex')}`,
    ),
  );
}

/** Open files of this process in the folder that could be written to. */
async function writableHandles(): Promise<string[]> {
  const found: string[] = [];
  for (const handle of await readdir('/proc/self/fd')) {
    const target = await readlink(`/proc/self/fd/${handle}`).catch(() => '');
    if (!target.startsWith(folder)) continue;
    const info = await readFile(`/proc/self/fdinfo/${handle}`, 'utf8');
    const flags = parseInt(/flags:\s*(\d+)/.exec(info)?.[1] ?? '3', 8);
    found.push(`${target} ${flags & 3}`);
  }
  return found;
}

describe('one image', () => {
  const random = new SeededRandom(seed);
  const size = 9 * mib + 512 * 5;
  const writes = randomWrites(random, size, { count: 120 });
  const disk = applyWrites(Buffer.alloc(size), writes);

  it('raw', async () => {
    await writeFile(at('disk.raw'), disk);
    await using reader = await openDisk(at('disk.raw'));
    expect(reader.identity).toMatchObject({ format: 'raw', chain: [{ variant: 'raw' }] });
    expect(await expectDisk(reader, disk, random)).toBe(size);
  });

  it('fixed VHD', async () => {
    const padded = Buffer.concat([disk, Buffer.alloc(10 * mib - size)]);
    const footer = formatFixedVhdFooter({
      sizeBytes: 10 * mib,
      uniqueId: guid('a'),
      createdAt: new Date('2026-01-01'),
    });
    await writeFile(at('disk.vhd'), Buffer.concat([padded, footer]));
    await using reader = await openDisk(at('disk.vhd'));
    expect(reader.identity.chain).toEqual([
      { location: at('disk.vhd'), variant: 'vhd fixed', imageId: guid('a') },
    ]);
    await expectDisk(reader, padded, random);
  });

  it.each([64 * 1024, 512 * 1024, 2 * mib])('dynamic VHD of %i-byte blocks', async (blockSizeBytes) => {
    const image = buildVhd({
      type: 'dynamic',
      sizeBytes: size,
      uniqueId: hexId('b'),
      writes,
      blockSizeBytes,
    });
    await writeFile(at('disk.vhd'), image);
    await using reader = await openDisk(at('disk.vhd'));
    expect(await expectDisk(reader, disk, random)).toBeLessThanOrEqual(size);
  });

  it('dynamic VHD whose footer at the end is gone', async () => {
    const image = buildVhd({ type: 'dynamic', sizeBytes: size, uniqueId: hexId('b'), writes });
    await writeFile(at('disk.vhd'), image.fill(0, image.length - 512));
    await using reader = await openDisk(at('disk.vhd'));
    await expectDisk(reader, disk, random);
  });

  it.each([mib, 2 * mib, 32 * mib])('dynamic VHDX of %i-byte blocks', async (blockSizeBytes) => {
    await writeFile(
      at('disk.vhdx'),
      buildVhdx({ sizeBytes: size, dataWriteGuid: guid('c'), writes, blockSizeBytes }),
    );
    await using reader = await openDisk(at('disk.vhdx'));
    expect(reader.identity.chain).toMatchObject([{ variant: 'vhdx', imageId: guid('c') }]);
    await expectDisk(reader, disk, random);
  });

  it('VHDX of 4 KiB sectors says so', async () => {
    const large = randomWrites(random, 12 * mib, { count: 20, sectorBytes: 4096 });
    const image = buildVhdx({
      sizeBytes: 12 * mib,
      dataWriteGuid: guid('c'),
      writes: large,
      logicalSectorBytes: 4096,
    });
    await writeFile(at('disk.vhdx'), image);
    await using reader = await openDisk(at('disk.vhdx'));
    expect(reader.logicalSectorSizeBytes).toBe(4096);
    await expectDisk(reader, applyWrites(Buffer.alloc(12 * mib), large), random);
  });

  it('blocks that are absent, undefined, zero or unmapped are zeros, and known as such', async () => {
    const states = { 0: 0, 1: 1, 2: 2, 3: 3 };
    const data = Buffer.alloc(512, 7);
    const image = buildVhdx({
      sizeBytes: 10 * mib,
      dataWriteGuid: guid('c'),
      writes: [{ offset: 8 * mib, data }],
      states,
    });
    await writeFile(at('disk.vhdx'), image);
    await using reader = await openDisk(at('disk.vhdx'));
    expect(await reader.allocation({ offsetBytes: 0, lengthBytes: 10 * mib })).toEqual([
      { offsetBytes: 0, lengthBytes: 8 * mib, kind: 'zero' },
      { offsetBytes: 8 * mib, lengthBytes: 2 * mib, kind: 'data' },
    ]);
    expect(
      await expectDisk(reader, applyWrites(Buffer.alloc(10 * mib), [{ offset: 8 * mib, data }]), random),
    ).toBe(2 * mib);
  });
});

/** A base and two differencing images above it, with the disk that each shows. */
function chainOf(random: SeededRandom, size: number, sectorBytes = 512) {
  // The last third of the disk was never written.
  const writtenBytes = Math.floor(size / 3 / 8192) * 2 * 8192;
  const layers = [80, 50, 50].map((count) => randomWrites(random, writtenBytes, { count, sectorBytes }));
  const disks: Buffer[] = [];
  for (const writes of layers)
    disks.push(applyWrites(Buffer.from(disks.at(-1) ?? Buffer.alloc(size)), writes));
  return { layers, disks };
}

describe('a chain', () => {
  it('of VHDs: dynamic, and two differencing ones found by their locators', async () => {
    const random = new SeededRandom(seed, 1);
    const size = 7 * mib + 512 * 9;
    const { layers, disks } = chainOf(random, size);
    const images = layers.map((writes, index) =>
      buildVhd({
        type: index === 0 ? 'dynamic' : 'differencing',
        sizeBytes: size,
        uniqueId: hexId(String(index + 1)),
        blockSizeBytes: index === 1 ? 512 * 1024 : 2 * mib,
        writes,
        ...(index > 0
          ? {
              parent: {
                uniqueId: hexId(String(index)),
                name: `${index - 1}.vhd`,
                locators: [
                  { code: 'W2ku' as const, text: `C:\\VMs\\${index - 1}.vhd` },
                  { code: 'W2ru' as const, text: `.\\${index - 1}.vhd` },
                ],
              },
            }
          : {}),
      }),
    );
    for (const [index, image] of images.entries()) await writeFile(at(`${index}.vhd`), image);
    for (const [index, disk] of disks.entries()) {
      await using reader = await openDisk(at(`${index}.vhd`));
      expect(reader.identity.chain).toHaveLength(index + 1);
      expect(await expectDisk(reader, disk, random)).toBeLessThanOrEqual(size);
    }
  });

  it('of VHDXs with 512-byte and 4 KiB sectors; zero blocks of a child hide the parent', async () => {
    for (const sectorBytes of [512, 4096]) {
      const random = new SeededRandom(seed, sectorBytes);
      const size = 20 * mib;
      const { layers, disks } = chainOf(random, size, sectorBytes);
      const hidden = 2;
      for (const [index, writes] of layers.entries()) {
        const own =
          index === 2 ? writes.filter(({ offset, data }) => !isIn(offset, data.length, hidden)) : writes;
        const image = buildVhdx({
          sizeBytes: size,
          dataWriteGuid: guid(String(index + 1)),
          logicalSectorBytes: sectorBytes,
          writes: own,
          ...(index === 2 ? { states: { [hidden]: 2 } } : {}),
          ...(index > 0
            ? { parent: { linkage: guid(String(index)), paths: { relative_path: `.\\${index - 1}.vhdx` } } }
            : {}),
        });
        await writeFile(at(index === 0 ? '0.vhdx' : `${index}.vhdx`), image);
        if (index === 2) {
          disks[2] = applyWrites(Buffer.from(disks[1]!), own);
          disks[2].fill(0, hidden * 2 * mib, (hidden + 1) * 2 * mib);
        }
      }
      for (const [index, disk] of disks.entries()) {
        await using reader = await openDisk(at(`${index}.vhdx`));
        expect(await expectDisk(reader, disk, random)).toBeLessThan(size);
      }
    }
  });
});

/** Whether [offset, offset + length) touches the 2 MiB block. */
const isIn = (offset: number, length: number, block: number): boolean =>
  offset + length > block * 2 * mib && offset < (block + 1) * 2 * mib;

describe('a source', () => {
  async function writeAllKinds(): Promise<string[]> {
    const data = Buffer.alloc(4096, 5);
    const size = 4 * mib;
    await writeFile(at('disk.raw'), Buffer.alloc(size, 3));
    const writes = [{ offset: 0, data }];
    await writeFile(
      at('base.vhd'),
      buildVhd({ type: 'dynamic', sizeBytes: size, uniqueId: hexId('1'), writes }),
    );
    const parent = { uniqueId: hexId('1'), name: 'base.vhd', locators: [] };
    await writeFile(
      at('child.vhd'),
      buildVhd({ type: 'differencing', sizeBytes: size, uniqueId: hexId('2'), writes, parent }),
    );
    await writeFile(at('base.vhdx'), buildVhdx({ sizeBytes: size, dataWriteGuid: guid('1'), writes }));
    const linkage = { linkage: guid('1'), paths: { relative_path: 'base.vhdx' } };
    await writeFile(
      at('child.avhdx'),
      buildVhdx({ sizeBytes: size, dataWriteGuid: guid('2'), writes, parent: linkage }),
    );
    return ['disk.raw', 'base.vhd', 'child.vhd', 'base.vhdx', 'child.avhdx'];
  }

  it('is opened for reading only, may be read-only, and does not change', async () => {
    const names = await writeAllKinds();
    for (const name of names) await chmod(at(name), 0o400);
    const before = await folderState();
    for (const name of names) {
      await using reader = await openDisk(at(name));
      await reader.read(0, reader.sizeBytes);
      await reader.allocation({ offsetBytes: 0, lengthBytes: reader.sizeBytes });
      if (process.platform === 'linux') {
        const handles = await writableHandles();
        expect(handles.length).toBe(reader.identity.chain.length);
        expect(handles.filter((handle) => !handle.endsWith(' 0'))).toEqual([]);
      }
    }
    expect(await folderState()).toEqual(before);
    if (process.platform === 'linux') expect(await writableHandles()).toEqual([]);
  });

  it('has another identity after a write to any file of its chain, and the same without', async () => {
    const names = await writeAllKinds();
    const idOf = async (name: string): Promise<string> => {
      await using reader = await openDisk(at(name));
      return reader.identity.id;
    };
    const before = await Promise.all(names.map(idOf));
    expect(new Set(before).size).toBe(names.length);
    expect(await Promise.all(names.map(idOf))).toEqual(before);
    await writeFile(at('base.vhdx'), await readFile(at('base.vhdx')));
    const after = await Promise.all(names.map(idOf));
    expect(after.map((id, index) => id === before[index])).toEqual([true, true, true, false, false]);
  });

  it('that is cut while it is read fails instead of giving fewer bytes', async () => {
    await writeAllKinds();
    await using reader = await openDisk(at('disk.raw'));
    await truncate(at('disk.raw'), mib);
    await expect(reader.read(0, 4 * mib)).rejects.toMatchObject({ code: 'DiskImageCorrupt' });
  });
});
