// One suite for every tracker that needs no machine: whatever is confirmed, aborted or cut short, what it reports makes the
// last confirmed state equal to the frozen one.
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { joinGaps } from '../../../../agent/track/joinGaps.ts';
import { parseChanges } from '../../../../agent/track/program/changesFormat.ts';
import { ProgramTracker } from '../../../../agent/track/program/tracker.ts';
import { programViews } from '../../../../agent/track/program/views.ts';
import { restingDisks } from '../../../../agent/track/restingDisks.ts';
import { ScanTracker } from '../../../../agent/track/scan/tracker.ts';
import type { ChangeTracker, FrozenCycle } from '../../../../agent/track/tracker.ts';
import type { ByteRange } from '../../../../lib/storage/ports.ts';

let folder: string;
let names = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackers-'));
});
afterAll(() => rm(folder, { recursive: true }));

const sizes = { os: 300 * 1024 + 512, data: 9 * 1024 * 1024 };
type DiskName = keyof typeof sizes;
const diskNames = Object.keys(sizes) as DiskName[];

interface Machine {
  path: string;
  places: { disk: DiskName; location: string }[];
}

async function newMachine(): Promise<Machine> {
  const path = join(folder, `machine-${++names}`);
  const places = diskNames.map((disk) => ({ disk, location: `${path}-${disk}.raw` }));
  for (const { disk, location } of places) {
    const bytes = randomBytes(sizes[disk]);
    bytes.fill(0, 100 * 1024, Math.min(5 * 1024 * 1024, bytes.length));
    await writeFile(location, bytes);
  }
  return { path, places };
}

const program = join(import.meta.dirname, '..', '..', '..', 'support', 'freezeProgram.mjs');
const programOptions = ({ path, places }: Machine, fault = '') => ({
  command: [
    'env',
    `LIFEBOAT_TEST_STATE=${path}-states`,
    `LIFEBOAT_TEST_FAULT=${fault}`,
    process.execPath,
    program,
  ],
  machine: 'vm',
  disks: places,
});

const kinds: Record<string, (machine: Machine) => ChangeTracker> = {
  'scan of resting disks': ({ path, places }) =>
    new ScanTracker({ folder: `${path}-scan`, views: restingDisks(places), workers: 1 }),
  'scan of views of a program': (machine) =>
    new ScanTracker({
      folder: `${machine.path}-scan`,
      views: programViews(programOptions(machine)),
      workers: 0,
    }),
  program: (machine) => new ProgramTracker(programOptions(machine)),
};

async function change({ places }: Machine, random: (below: number) => number): Promise<void> {
  for (const { disk, location } of places) {
    const handle = await open(location, 'r+');
    for (let count = random(6); count > 0; count--) {
      const sectors = 1 + random(200);
      const offset = random(Math.max(1, sizes[disk] / 512 - sectors)) * 512;
      const length = Math.min(sectors * 512, sizes[disk] - offset);
      await handle.write(random(3) === 0 ? Buffer.alloc(length) : randomBytes(length), 0, length, offset);
    }
    await handle.close();
  }
}

type States = Map<string, Buffer>;
const readStates = async ({ places }: Machine): Promise<States> =>
  new Map(
    await Promise.all(places.map(async ({ disk, location }) => [disk, await readFile(location)] as const)),
  );

/** The base with what the cycle reports; also that the report is well formed. */
async function applied(base: States | undefined, cycle: FrozenCycle): Promise<States> {
  const states: States = new Map();
  for (const { disk, reader, extents } of cycle.disks) {
    const bytes = Buffer.from(base?.get(disk) ?? Buffer.alloc(reader.sizeBytes));
    let end = -1;
    for (const { offsetBytes, lengthBytes } of extents) {
      expect(offsetBytes).toBeGreaterThan(end);
      expect(offsetBytes % 512).toBe(0);
      expect(lengthBytes % 512).toBe(0);
      end = offsetBytes + lengthBytes;
      expect(end).toBeLessThanOrEqual(reader.sizeBytes);
      bytes.set(await reader.read(offsetBytes, lengthBytes), offsetBytes);
    }
    states.set(disk, bytes);
  }
  return states;
}

const digests = (states: States): Record<string, string> =>
  Object.fromEntries(
    [...states].map(([disk, bytes]) => [disk, createHash('sha256').update(bytes).digest('hex')]),
  );

const ends = [
  'confirm',
  'abort',
  'detach',
  'detach, and the reference is stored',
  'crash',
  'crash after the reference was stored',
] as const;

describe.each(Object.entries(kinds))('%s', (_, make) => {
  it('reports what makes the confirmed state the frozen one, through aborts and crashes', async () => {
    const step = fc.record({
      end: fc.constantFrom(...ends),
      seed: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 5 }), async (steps) => {
        const machine = await newMachine();
        let tracker = make(machine);
        let confirmed: { reference: string; states: States } | undefined;
        for (const { end, seed } of steps) {
          const random = (below: number): number =>
            createHash('sha256').update(`${seed}-${++names}`).digest().readUInt32LE() % below;
          await change(machine, random);
          const cycle = await tracker.freeze({ since: confirmed?.reference });
          expect(cycle.kind).toBe(confirmed ? 'changes' : 'full');
          const states = await applied(confirmed?.states, cycle);
          expect(digests(states)).toEqual(digests(await readStates(machine)));
          await expect(tracker.freeze({ since: confirmed?.reference })).rejects.toMatchObject({
            code: 'TrackerBusy',
          });
          if (end === 'confirm') {
            await cycle.confirm();
            await cycle.confirm();
          } else if (end === 'abort') await cycle.abort();
          else if (end.startsWith('detach')) await cycle.detach();
          else {
            // What the system does with a process that dies.
            for (const { reader } of cycle.disks) await reader.close();
            tracker = make(machine);
          }
          if (end === 'confirm' || end.endsWith('stored')) confirmed = { reference: cycle.reference, states };
          if (end === 'abort') await expect(cycle.confirm()).rejects.toThrow('aborted');
        }
        await tracker.close();
      }),
      { numRuns: 3 },
    );
  });

  it('says that it lost track of a reference that it does not know, and goes on from the whole disk', async () => {
    const machine = await newMachine();
    await using tracker = make(machine);
    const first = await tracker.freeze({});
    await first.confirm();
    await expect(tracker.freeze({ since: 'another' })).rejects.toMatchObject({ code: 'TrackingLost' });
    const again = await tracker.freeze({});
    expect(digests(await applied(undefined, again))).toEqual(digests(await readStates(machine)));
  });
});

describe('scan', () => {
  it('goes on with a disk that grew, and with one that was added', async () => {
    const machine = await newMachine();
    const [place] = machine.places;
    const views = (places: typeof machine.places) =>
      new ScanTracker({ folder: `${machine.path}-scan`, views: restingDisks(places), workers: 0 });
    const first = await views([place!]).freeze({});
    const base = await applied(undefined, first);
    await first.confirm();
    for (const grownBytes of [512, 70_000 - (70_000 % 512), 5 * 1024 * 1024]) {
      const before = await readFile(place!.location);
      const after = Buffer.concat([before, Buffer.alloc(grownBytes)]);
      after.fill(7, after.length - 512);
      after.fill(9, 4096, 4608);
      await writeFile(place!.location, after);
      await using tracker = views(machine.places);
      const cycle = await tracker.freeze({ since: first.reference });
      const padded: States = new Map([[place!.disk, Buffer.alloc(after.length)]]);
      padded.get(place!.disk)?.set(base.get(place!.disk)!);
      expect(digests(await applied(padded, cycle))).toEqual(digests(await readStates(machine)));
      const untracked = cycle.disks.filter(({ isUntracked }) => isUntracked).map(({ disk }) => disk);
      expect(untracked).toEqual(machine.places.slice(1).map(({ disk }) => disk));
      await cycle.abort();
    }
  });

  it('does not believe digests that are damaged, wherever', async () => {
    const machine = await newMachine();
    const scanFolder = `${machine.path}-scan`;
    const make = () =>
      new ScanTracker({ folder: scanFolder, views: restingDisks(machine.places), workers: 0 });
    const first = await make().freeze({});
    const { reference } = first;
    await first.confirm();
    const path = join(scanFolder, reference, 'data.digests');
    const whole = await readFile(path);
    for (const at of [3, 20, 30, Math.floor(whole.length / 2), whole.length - 1]) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      await writeFile(path, damaged);
      await expect(make().freeze({ since: reference })).rejects.toMatchObject({ code: 'TrackingLost' });
    }
    await writeFile(path, whole.subarray(0, -1));
    await expect(make().freeze({ since: reference })).rejects.toMatchObject({ code: 'TrackingLost' });
    await writeFile(path, whole);
    await using tracker = make();
    expect((await tracker.freeze({ since: reference })).disks.flatMap(({ extents }) => extents)).toEqual([]);
  });

  it('refuses a state that was written while it was read', async () => {
    const machine = await newMachine();
    const path = machine.places[1]!.location;
    await using tracker = new ScanTracker({
      ...{ folder: `${machine.path}-scan`, views: restingDisks(machine.places), workers: 0 },
      onProgress: () => writeFileSync(path, randomBytes(sizes.data)),
    });
    await expect(tracker.freeze({})).rejects.toMatchObject({ code: 'SourceChanged' });
  });
});

describe('a program', () => {
  it.each([
    ['partial', 'SourceAnswerInvalid', /cover the disk up to \d+ of/],
    ['freeze', 'SnapshotFailed', /the snapshot is broken/],
    ['text', 'SourceAnswerInvalid', /not JSON/],
  ])('whose answer is %s is refused as %s', async (fault, code, message) => {
    const machine = await newMachine();
    const first = await new ProgramTracker(programOptions(machine)).freeze({});
    await first.confirm();
    await using tracker = new ProgramTracker(programOptions(machine, fault));
    const error: unknown = await tracker
      .freeze({ since: first.reference })
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code });
    expect((error as Error).message).toMatch(message);
    // The reference is still good.
    await using again = new ProgramTracker(programOptions(machine));
    const next = await again.freeze({ since: first.reference });
    expect(next.kind).toBe('changes');
  });

  it('that does not exist or does not end is named', async () => {
    const machine = await newMachine();
    const gone = new ProgramTracker({ ...programOptions(machine), command: ['/nowhere/program'] });
    await expect(gone.freeze({})).rejects.toThrow('/nowhere/program abort cannot be started: ENOENT');
    const slow = new ProgramTracker({
      ...programOptions(machine),
      command: ['sh', '-c', 'exec sleep 60'],
      timeoutSeconds: 0.2,
    });
    await expect(slow.freeze({})).rejects.toThrow('did not end within 0.2 s');
  });
});

describe('formats of changes', () => {
  const subject = { disk: 'os', diskSizeBytes: 1_048_576, since: 'a', to: 'b' };
  const one: ByteRange[] = [{ offsetBytes: 4096, lengthBytes: 8192 }];
  it.each([
    [
      'envelope',
      { version: 1, from: 'a', to: 'b', complete: true, extents: [{ offset: '4096', length: 8192 }] },
    ],
    [
      'nbdinfo',
      [
        { offset: 0, length: 4096, type: 0, description: 'clean' },
        { offset: 4096, length: 8192, type: 1, description: 'dirty' },
        { offset: 12_288, length: 1_036_288, type: 0, description: 'clean' },
      ],
    ],
    ['rct', { ProcessedByteLength: 1_048_576, ChangedByteOffsets: [4096], ChangedByteLengths: [8192] }],
    [
      'rct in pages',
      [
        { ByteOffset: 524_288, ProcessedByteLength: 524_288, ChangedByteOffsets: [], ChangedByteLengths: [] },
        {
          ByteOffset: 0,
          ProcessedByteLength: 524_288,
          ChangedByteOffsets: [4096],
          ChangedByteLengths: [8192],
        },
      ],
    ],
    ['vmware', { startOffset: 0, length: 1_048_576, changedArea: [{ start: 4096, length: 8192 }] }],
    [
      'rounding',
      {
        version: 1,
        complete: true,
        extents: [
          { start: 4100, length: 8000 },
          { start: 12_200, length: 1 },
        ],
      },
    ],
  ])('%s', (_, value) => {
    expect(parseChanges(value, subject)).toEqual(one);
  });

  it.each([
    ['a part', { version: 1, coverage: [{ offset: 0, length: 1000 }], extents: [] }, /up to 1000 of/],
    [
      'a hole',
      {
        version: 1,
        coverage: [
          { offset: 0, length: 5 },
          { offset: 6, length: 2_000_000 },
        ],
        extents: [],
      },
      /up to 5 of/,
    ],
    ['no coverage', { version: 1, extents: [{ offset: 0, length: 512 }] }, /up to 0 of/],
    [
      'one page of RCT',
      { ProcessedByteLength: 524_288, ChangedByteOffsets: [], ChangedByteLengths: [] },
      /up to 524288/,
    ],
    ['another reference', { version: 1, from: 'x', complete: true, extents: [] }, /since "x"/],
    ['another disk', { version: 1, diskSize: 5, complete: true, extents: [] }, /disk of 5 bytes/],
    [
      'a place outside',
      { version: 1, complete: true, extents: [{ offset: 2_000_000, length: 1 }] },
      /begins at/,
    ],
    ['qemu-img map', [{ start: 0, length: 1_048_576, data: false }], /"data"/],
    [
      'columns of two lengths',
      { ProcessedByteLength: 1_048_576, ChangedByteOffsets: [1], ChangedByteLengths: [] },
      /lengths/,
    ],
    ['text', 'none', /no format/],
    ['null', null, /no format/],
    ['no length', [{ offset: 0 }], /no offset or no length/],
  ])('refuses %s', (_, value, message) => {
    expect(() => parseChanges(value, subject)).toThrow(message);
  });
});

it('joins gaps without losing or doubling anything, within its budget', () => {
  const sectors = fc.array(fc.tuple(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 400 })), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(sectors, fc.constantFrom(0, 0.1, 0.5), (parts, ratio) => {
      const extents: ByteRange[] = [];
      let at = 0;
      for (const [gap, length] of parts) {
        extents.push({ offsetBytes: (at + gap) * 512, lengthBytes: length * 512 });
        at += gap + length;
      }
      const joined = joinGaps(extents, ratio);
      const bytesOf = (ranges: readonly ByteRange[]) =>
        ranges.reduce((sum, each) => sum + each.lengthBytes, 0);
      expect(bytesOf(joined)).toBeLessThanOrEqual(bytesOf(extents) * (1 + ratio));
      for (const { offsetBytes, lengthBytes } of extents)
        expect(
          joined.some(
            (each) =>
              each.offsetBytes <= offsetBytes &&
              each.offsetBytes + each.lengthBytes >= offsetBytes + lengthBytes,
          ),
        ).toBe(true);
      for (let index = 1; index < joined.length; index++)
        expect(joined[index]!.offsetBytes).toBeGreaterThan(
          joined[index - 1]!.offsetBytes + joined[index - 1]!.lengthBytes,
        );
    }),
  );
});
