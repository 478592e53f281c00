// Mutated images: each is refused by name, or read without a crash, in bounded memory, and always the same way. An image
// with a byte changed under a checksum is refused, or reads as before because its other copy is used.
import { createHash } from 'node:crypto';
import { mkdtemp, open, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentError } from '../../agent/agentError.ts';
import { openDisk } from '../../agent/disk/openDisk.ts';
import type { DiskReader } from '../../agent/disk/reader.ts';
import { LifeboatError } from '../../lib/errors.ts';
import { buildVhd, sealVhd, vhdLayout } from '../support/images/vhdWriter.ts';
import { addPendingLog, buildVhdx, sealVhdx, vhdxLayout } from '../support/images/vhdxWriter.ts';
import { watchAllocations } from './allocations.ts';
import { SeededRandom } from './random.ts';

const seed = 20_261_130;
const mutantsOfEach = 420;
const mib = 1024 * 1024;
const size = 2 * mib;
/** Most elements in one array, most bytes in one buffer: tables stay on disk, reads of this test have 256 KiB. */
const maxArrayLength = 8 * mib;
const guid = (digit: string): string => `${digit.repeat(8)}-0000-4000-8000-000000000000`;

/** A structure of an image, and how its checksum is made right. */
interface Structure {
  offset: number;
  length: number;
  seal?: (bytes: Buffer) => void;
}

interface Base {
  name: string;
  image: Buffer;
  structures: readonly Structure[];
}

const writes = [0, 0.5, 1.25, 1.9375].map((place, index) => ({
  offset: place * mib,
  data: Buffer.alloc(4096 + 512 * index, `piece ${index} `),
}));

function vhdBase(name: string, type: 'dynamic' | 'differencing'): Base {
  const parent = {
    uniqueId: '1'.repeat(32),
    name: 'base.vhd',
    locators: [{ code: 'W2ru' as const, text: '.\\base.vhd' }],
  };
  const uniqueId = (type === 'dynamic' ? '1' : '2').repeat(32);
  const options = { type, sizeBytes: size, uniqueId, blockSizeBytes: 512 * 1024, writes };
  const image = buildVhd(type === 'dynamic' ? options : { ...options, parent });
  const footer = (bytes: Buffer): void => void sealVhd(bytes, 64);
  return {
    name,
    image,
    structures: [
      { offset: 0, length: 512, seal: footer },
      { offset: image.length - 512, length: 512, seal: footer },
      { offset: vhdLayout.headerAt, length: 1024, seal: (bytes) => void sealVhd(bytes, 36) },
      { offset: vhdLayout.locatorsAt, length: 64 },
      { offset: vhdLayout.tableAt, length: 32 },
    ],
  };
}

function vhdxBase(name: string, kind: 'plain' | 'child' | 'log'): Base {
  const dataWriteGuid = guid(kind === 'child' ? '2' : '1');
  const parent = { linkage: guid('1'), paths: { relative_path: '.\\base.vhdx' } };
  const options = { sizeBytes: size, dataWriteGuid, blockSizeBytes: mib, writes };
  const image = buildVhdx(kind === 'child' ? { ...options, parent } : options);
  const { headersAt, regionsAt, logAt, metadataAt, tableAt } = vhdxLayout;
  const seal = (bytes: Buffer): void => void sealVhdx(bytes);
  const structures: Structure[] = [
    ...headersAt.map((offset) => ({ offset, length: 4096, seal })),
    ...regionsAt.map((offset) => ({ offset, length: 64 * 1024, seal })),
    { offset: metadataAt, length: 256 },
    { offset: metadataAt + 64 * 1024, length: 256 },
    { offset: tableAt, length: 64 },
  ];
  if (kind === 'log') {
    const right = image.subarray(tableAt, tableAt + 4096);
    addPendingLog(
      image,
      [
        {
          writes: [
            { offset: tableAt, data: right },
            { offset: tableAt + 8192, zeroBytes: 4096 },
          ],
        },
      ],
      {
        dataWriteGuid,
      },
    );
    image.fill(0xee, tableAt, tableAt + 64);
    structures.push({ offset: logAt, length: image.readUInt32LE(logAt + 8), seal });
  }
  return { name, image, structures };
}

const bases: readonly Base[] = [
  vhdBase('base.vhd', 'dynamic'),
  vhdBase('child.vhd', 'differencing'),
  vhdxBase('base.vhdx', 'plain'),
  vhdxBase('child.avhdx', 'child'),
  vhdxBase('log.vhdx', 'log'),
];

const interesting = [0, 1, 7, 0x7f, 0x80, 0xff];

/** Changes bytes of the structure: any, or whole fields to values that programs stumble over. */
function mutate(bytes: Buffer, random: SeededRandom): void {
  // The first bytes of a large structure hold its fields.
  const reach = random.once(4) ? bytes.length : Math.min(bytes.length, 160);
  for (let left = 1 + random.below(3); left > 0; left--) {
    const at = random.below(reach - 8);
    const field = at - (at % 4);
    const kind = random.below(5);
    if (kind === 0) bytes[at]! ^= 1 << random.below(8);
    else if (kind === 1) bytes[at] = random.pick(interesting);
    else if (kind === 2)
      bytes.writeUInt32LE(random.pick([0, 1, 0x7fff_ffff, 0xffff_ffff, random.below(2 ** 24)]), field);
    else if (kind === 3)
      bytes.writeUInt32BE(random.pick([0, 2, 0x8000_0000, 0xffff_fffe, random.below(16_384)]), field);
    else bytes.copyWithin(field, random.below(reach - 8), random.below(reach));
  }
}

/** Notes how large the buffers are that are made from now on, until stopped. */
function watchBuffers(): { longest: () => number; stop: () => void } {
  let longest = 0;
  const kept = new Map<'alloc' | 'allocUnsafe', unknown>();
  for (const name of ['alloc', 'allocUnsafe'] as const) {
    const original = Buffer[name].bind(Buffer);
    kept.set(name, Reflect.get(Buffer, name));
    const counted = (length: number): Buffer => {
      longest = Math.max(longest, length);
      return original(length);
    };
    Reflect.set(Buffer, name, counted);
  }
  return {
    longest: () => longest,
    stop: () => kept.forEach((original, name) => Reflect.set(Buffer, name, original)),
  };
}

const readBytes = 256 * 1024;

/** A digest of what the reader shows; also checks that it shows it twice, and that zeros are zeros. */
async function lookAt(disk: DiskReader, random: SeededRandom): Promise<string> {
  const hash = createHash('sha256').update(`${disk.sizeBytes}`);
  const ends = Math.min(disk.sizeBytes, size);
  for (let offset = 0; offset < ends; offset += readBytes)
    hash.update(await disk.read(offset, Math.min(readBytes, ends - offset)));
  const offset = random.below(Math.floor(disk.sizeBytes / 512)) * 512;
  const window = { offsetBytes: offset, lengthBytes: Math.min(readBytes, disk.sizeBytes - offset) };
  const bytes = await disk.read(window.offsetBytes, window.lengthBytes);
  expect(Buffer.compare(bytes, await disk.read(window.offsetBytes, window.lengthBytes))).toBe(0);
  for (const { kind, offsetBytes, lengthBytes } of await disk.allocation(window)) {
    const part = bytes.subarray(offsetBytes - offset, offsetBytes - offset + lengthBytes);
    if (kind === 'zero') expect(part.every((byte) => byte === 0)).toBe(true);
  }
  return hash.digest('hex');
}

describe('mutated images', () => {
  let folder = '';
  const right = new Map<string, string>();
  const at = (name: string): string => join(folder, name);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lifeboat-fuzz-'));
    for (const { name, image } of bases) await writeFile(at(name), image);
    for (const { name } of bases) {
      await using disk = await openDisk(at(name));
      right.set(name, await lookAt(disk, new SeededRandom(seed)));
    }
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  async function outcomeOf(path: string, random: SeededRandom): Promise<string> {
    try {
      await using disk = await openDisk(path);
      return await lookAt(disk, random);
    } catch (error) {
      if (error instanceof LifeboatError || error instanceof AgentError) return error.code;
      throw error;
    }
  }

  /** Puts the bytes there, looks, and puts the old ones back. */
  async function outcomeWith(
    { file, path }: { file: FileHandle; path: string },
    place: { offset: number; bytes: Buffer; old: Buffer },
    random: SeededRandom,
  ): Promise<string> {
    await file.write(place.bytes, 0, place.bytes.length, place.offset);
    try {
      return await outcomeOf(path, random);
    } finally {
      await file.write(place.old, 0, place.old.length, place.offset);
    }
  }

  it.each(bases)(`${mutantsOfEach} of $name`, async ({ name, image, structures }) => {
    const outcomes = new Map<string, number>();
    const buffers = watchBuffers();
    const watch = watchAllocations();
    const file = await open(at(name), 'r+');
    try {
      for (let index = 0; index < mutantsOfEach; index++) {
        const random = new SeededRandom(seed, index);
        const structure = random.pick(structures);
        const old = image.subarray(structure.offset, structure.offset + structure.length);
        const bytes = Buffer.from(old);
        const isSealed = structure.seal !== undefined && !random.once(3);
        // Byte sums see one changed byte for certain, several only mostly.
        if (structure.seal && !isSealed) bytes[random.below(bytes.length)]! ^= 1 + random.below(255);
        else mutate(bytes, random);
        if (isSealed) structure.seal?.(bytes);
        const what = `mutant ${index} of seed ${seed} of ${name}`;
        const place = { offset: structure.offset, bytes, old };
        const outcome = await outcomeWith({ file, path: at(name) }, place, random).catch((error: unknown) => {
          throw new Error(`${what}: ${String(error)}`, { cause: error });
        });
        const isRead = /^[0-9a-f]{64}$/.test(outcome);
        if (structure.seal && !isSealed && isRead && outcome !== right.get(name))
          throw new Error(`${what}: a byte changed under a checksum, and the disk reads otherwise`);
        if (Math.max(watch.takeLongest(), buffers.longest()) > maxArrayLength)
          throw new Error(`${what}: memory for more than ${maxArrayLength} elements at once`);
        const kind = !isRead ? outcome : outcome === right.get(name) ? 'same' : 'other';
        outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
      }
    } finally {
      watch.stop();
      buffers.stop();
      await file.close();
    }
    console.log(`${name}, seed ${seed}:`, Object.fromEntries(outcomes));
    expect(outcomes.get('same')).toBeGreaterThan(20);
    expect(outcomes.get('DiskImageCorrupt')).toBeGreaterThan(20);
    if (name.startsWith('child')) expect(outcomes.get('BrokenVhdChain')).toBeGreaterThan(0);
    expect(await outcomeOf(at(name), new SeededRandom(seed))).toBe(right.get(name));
  });
});
