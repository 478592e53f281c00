// What writes a source's disks: it makes them equal whatever they were, goes on after a death, sees every difference when it
// reads back, and refuses disks that are not the right ones or are in use.
import { spawn, spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ItemStateFile } from '../../../agent/daemon/itemState.ts';
import { requireKnown } from '../../../agent/daemon/knownDisks.ts';
import { openDisk } from '../../../agent/disk/openDisk.ts';
import { applyDisk, findWrongChunks } from '../../../agent/failback/applyDisk.ts';
import type { RecoveryPoint } from '../../../agent/failback/recoveryPoint.ts';
import { openForWriting, openNewDisk } from '../../../agent/failback/sourceDiskWriter.ts';
import { planSwap, swapBack, swapIn } from '../../../agent/failback/swap.ts';
import { commandPower } from '../../../agent/power/commandPower.ts';
import { ensureOff, requireOff, requirePower } from '../../../agent/power/machinePower.ts';
import { CopyCursorFile } from '../../../agent/upload/copyCursor.ts';
import { copyChunkBytes } from '../../../agent/upload/uploadReplica.ts';
import { digestsWithin } from '../../../lib/resync/blockDigests.ts';
import { fineBlockBytes } from '../../../lib/resync/blocks.ts';
import { formatFixedVhdFooter } from '../../../lib/vhd/fixed.ts';
import { buildVhd } from '../../support/images/vhdWriter.ts';
import { buildVhdx } from '../../support/images/vhdxWriter.ts';

const mib = 1024 * 1024;
const { signal } = new AbortController();
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'failback-'));
});
afterEach(() => rm(folder, { recursive: true }));

const at = (name: string): string => join(folder, name);

/** The recovery point as bytes; reads of some chunk may fail. */
function pointOf(bytes: Buffer, failAtBytes = Infinity): RecoveryPoint {
  return {
    digests: async ({ offsetBytes, lengthBytes }) =>
      digestsWithin(bytes.subarray(offsetBytes, offsetBytes + lengthBytes), fineBlockBytes),
    read: async ({ offsetBytes, lengthBytes }) => {
      if (offsetBytes >= failAtBytes) throw new Error('the network is gone');
      return Buffer.from(bytes.subarray(offsetBytes, offsetBytes + lengthBytes));
    },
  };
}

const cursorOf = (diskSizeBytes: number) =>
  CopyCursorFile.open(at('cursor'), {
    ...{ item: 'vm-1', disk: 'os', blobName: 'snapshot', diskSizeBytes, chunkBytes: copyChunkBytes },
  });

const raw = (name: string) => ({ disk: 'os', location: at(name) });

describe('a failback', () => {
  it('makes any disk equal, writes only what differs, and goes on where it died', async () => {
    const edit = fc.record({ at: fc.nat(), length: fc.nat(70_000), byte: fc.nat(255) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(edit, { maxLength: 6 }),
        fc.integer({ min: 1, max: 10_240 }),
        fc.nat(2),
        async (edits, sectors, failedChunk) => {
          await rm(at('cursor'), { force: true });
          const expected = Buffer.alloc(sectors * 512);
          for (let start = 0; start < expected.length; start += 65_536 * 3)
            expected.fill(start % 251, start, Math.min(start + 4096, expected.length));
          const before = Buffer.from(expected);
          for (const { at: where, length, byte } of edits) {
            const start = where % expected.length;
            before.fill(byte, start, Math.min(start + length, expected.length));
          }
          await writeFile(at('disk.raw'), before);
          for (const failAt of [failedChunk * copyChunkBytes, Infinity]) {
            await using target = await openForWriting(raw('disk.raw'), expected.length);
            await using cursor = await cursorOf(expected.length);
            const point = pointOf(expected, failAt);
            const run = applyDisk({ target, point, cursor, viewId: 's', signal });
            if (failAt < expected.length) await run.catch(() => undefined);
            else {
              const { writtenBytes, comparedBytes, resumedBytes } = await run;
              expect(comparedBytes + resumedBytes).toBe(expected.length);
              const touched = edits.reduce((sum, { length }) => sum + length + 2 * 4096, 0);
              expect(writtenBytes).toBeLessThanOrEqual(touched);
            }
          }
          expect((await readFile(at('disk.raw'))).equals(expected)).toBe(true);
          await using reader = await openDisk(at('disk.raw'));
          await using cursor = await cursorOf(expected.length);
          const view = { chunks: cursor.chunks, viewId: 's', signal };
          expect(await findWrongChunks(reader, view)).toEqual([]);
          // A single bit, anywhere, is seen.
          const place = (edits[0]?.at ?? 0) % expected.length;
          expected[place]! ^= 1;
          await writeFile(at('disk.raw'), expected);
          expect(await findWrongChunks(reader, view)).toEqual([Math.floor(place / copyChunkBytes)]);
          expect(await findWrongChunks(reader, { ...view, viewId: 'another' })).toContain(0);
        },
      ),
      { numRuns: 12 },
    );
  });

  it('writes a fixed VHD without its footer, and says of other kinds what to do', async () => {
    const footer = formatFixedVhdFooter({
      ...{ sizeBytes: mib, uniqueId: '3f2504e0-4f89-41d3-9a0c-0305e82c3301' },
      createdAt: new Date('2026-01-01T00:00:00Z'),
    });
    await writeFile(at('disk.vhd'), Buffer.concat([Buffer.alloc(mib, 1), footer]));
    {
      await using target = await openForWriting(raw('disk.vhd'), mib);
      await target.write(mib - 512, Buffer.alloc(512, 2));
      await expect(target.write(mib - 511, Buffer.alloc(512, 2))).rejects.toThrow(RangeError);
      await target.sync();
    }
    const bytes = await readFile(at('disk.vhd'));
    expect(bytes.subarray(mib).equals(footer)).toBe(true);
    expect(bytes[mib - 512]).toBe(2);
    await expect(openForWriting(raw('disk.vhd'), 2 * mib)).rejects.toMatchObject({
      ...{ code: 'SourceDiskUnknown' },
      message: expect.stringContaining('has 1048576 bytes, and the recovery point 2097152') as string,
    });
    const sparse = buildVhd({ type: 'dynamic', sizeBytes: 8 * mib, uniqueId: '1'.repeat(32), writes: [] });
    await writeFile(at('dynamic.vhd'), sparse);
    for (const open of [openForWriting, openNewDisk])
      await expect(open(raw('dynamic.vhd'), 8 * mib)).rejects.toMatchObject({
        ...{ code: 'SourceDiskUnknown' },
        message: expect.stringMatching(/is vhd dynamic, which.*Convert-VHD.*qemu-img/) as string,
      });
    expect((await readFile(at('dynamic.vhd'))).equals(sparse)).toBe(true);
  });

  it.each([false, true])('makes a VHDX equal (fixed: %s), goes on where it died', async (isFixed) => {
    const sizeBytes = 13 * mib + 512;
    const dataWriteGuid = '11111111-0000-4000-8000-000000000000';
    const old = Buffer.alloc(sizeBytes);
    old.fill(3, mib, 3 * mib);
    const writes = [{ offset: mib, data: old.subarray(mib, 3 * mib) }];
    await writeFile(at('disk.vhdx'), buildVhdx({ sizeBytes, dataWriteGuid, writes, isFixed }));
    const expected = Buffer.from(old);
    expected.fill(0, 2 * mib, 2 * mib + 8192);
    for (const start of [mib, 5 * mib - 4096, 9 * mib, sizeBytes - 9000])
      expected.fill(7, start, start + 9000);
    const failAt = 2 * copyChunkBytes;
    {
      const target = await openForWriting(raw('disk.vhdx'), sizeBytes);
      await using cursor = await cursorOf(sizeBytes);
      const run = applyDisk({ target, point: pointOf(expected, failAt), cursor, viewId: 's', signal });
      await expect(run).rejects.toThrow('the network is gone');
      // Dead: neither synced nor closed, and yet what the cursor says is there.
      await using reader = await openDisk(at('disk.vhdx'));
      expect([...cursor.chunks.keys()].sort()).toEqual([0, 1]);
      const view = { chunks: cursor.chunks, viewId: 's', signal };
      expect(await findWrongChunks(reader, view)).toEqual([2, 3]);
      await target.close();
    }
    await using target = await openForWriting(raw('disk.vhdx'), sizeBytes);
    await using cursor = await cursorOf(sizeBytes);
    const result = await applyDisk({ target, point: pointOf(expected), cursor, viewId: 's', signal });
    expect(result.resumedBytes).toBe(failAt);
    await using reader = await openDisk(at('disk.vhdx'));
    expect(Buffer.compare(await reader.read(0, sizeBytes), expected)).toBe(0);
    expect(await findWrongChunks(reader, { chunks: cursor.chunks, viewId: 's', signal })).toEqual([]);
  });

  it.skipIf(process.platform !== 'linux' || spawnSync('flock', ['--version']).status !== 0)(
    'refuses an image that another process has locked',
    async () => {
      await writeFile(at('disk.raw'), Buffer.alloc(mib));
      const child = spawn('flock', ['--no-fork', at('disk.raw'), 'sh', '-c', 'echo held; exec sleep 60']);
      await new Promise((resolve) => child.stdout.once('data', resolve));
      await expect(openForWriting(raw('disk.raw'), mib)).rejects.toMatchObject({
        code: 'SourceMachineRunning',
      });
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await gone;
      await (await openForWriting(raw('disk.raw'), mib)).close();
    },
  );

  it('refuses another image in the place of the one that was replicated, and takes one that agent.yaml names anew', async () => {
    const vhd = (uniqueId: string) =>
      Buffer.concat([
        Buffer.alloc(mib),
        formatFixedVhdFooter({ sizeBytes: mib, uniqueId, createdAt: new Date('2026-01-01T00:00:00Z') }),
      ]);
    await writeFile(at('disk.vhd'), vhd('3f2504e0-4f89-41d3-9a0c-0305e82c3301'));
    const state = await ItemStateFile.open(folder, 'vm-1');
    await using reader = await openDisk(at('disk.vhd'));
    const { location, imageId } = reader.identity.chain[0]!;
    await state.update({ disks: { os: { location, sizeBytes: mib, imageId: imageId ?? null } } });
    await requireKnown({ state }, raw('disk.vhd'));
    await writeFile(at('disk.vhd'), vhd('3f2504e0-4f89-41d3-9a0c-0305e82c3302'));
    await expect(requireKnown({ state }, raw('disk.vhd'))).rejects.toMatchObject({
      code: 'SourceDiskUnknown',
    });
    await copyFile(at('disk.vhd'), at('other.vhd'));
    await requireKnown({ state }, raw('other.vhd'));
  });

  it('swaps new disks in and back, as often as it is asked', async () => {
    await writeFile(at('disk.raw'), Buffer.alloc(mib, 1));
    for (const isFirst of [true, false]) {
      const { disk, isNew } = await openNewDisk(raw('disk.raw'), mib);
      expect(isNew).toBe(isFirst);
      await disk.write(0, Buffer.alloc(mib, 2));
      await disk.close();
    }
    const swap = await planSwap(raw('disk.raw'));
    await swapIn(swap);
    await swapIn(swap);
    expect((await readFile(at('disk.raw')))[7]).toBe(2);
    expect((await readFile(swap.keptPath))[7]).toBe(1);
    await expect(planSwap(raw('disk.raw'))).rejects.toMatchObject({ code: 'SourceDiskUnknown' });
    await swapBack(swap);
    await swapBack(swap);
    expect((await readFile(at('disk.raw')))[7]).toBe(1);
    expect(await readdir(folder)).toEqual(['disk.raw']);
  });
});

describe('the power switch', () => {
  const of = (isRunning: string, shutdown?: string, timeoutSeconds = 30) =>
    commandPower({
      machine: 'vm-1',
      isRunning: ['sh', '-c', isRunning],
      ...{ shutdown: shutdown === undefined ? undefined : ['sh', '-c', shutdown], timeoutSeconds },
    });
  const options = { machine: 'vm-1', signal, report: () => undefined, pollMs: 20 };

  it.each([
    ['off', false],
    ['Off\\r', false],
    ['shut off\\n', false],
    ['status: stopped', false],
    ['running', true],
    ['Saved', true],
    ['paused', true],
    ['turning off', true],
  ])('takes %s for %s', async (text, isRunning) => {
    expect(await of(`printf '\\n ${text} \\n'`).isRunning()).toBe(isRunning);
  });

  it('never takes silence or a failure for off', async () => {
    for (const command of ['true', 'echo off; exit 3'])
      await expect(of(command).isRunning()).rejects.toMatchObject({ code: 'SourceMachineRunning' });
    const missing = commandPower({ machine: 'vm-1', isRunning: ['/nowhere'], timeoutSeconds: 1 });
    await expect(missing.isRunning()).rejects.toMatchObject({ code: 'SourceMachineRunning' });
  });

  it('shuts down, waits, and says what is missing', async () => {
    await writeFile(at('state'), 'running');
    await expect(requireOff(of(`cat ${at('state')}`), 'vm-1')).rejects.toThrow('runs on this host');
    await expect(ensureOff(of(`cat ${at('state')}`), options)).rejects.toThrow('by hand');
    const patient = of(`cat ${at('state')}`, 'true', 0.2);
    await expect(ensureOff(patient, options)).rejects.toThrow('still runs after 0.2 s');
    await ensureOff(
      of(`cat ${at('state')}`, `(sleep 0.1; printf off > ${at('state')}) > /dev/null 2>&1 &`),
      options,
    );
    expect(await of(`cat ${at('state')}`).isRunning()).toBe(false);
    expect(() => requirePower(undefined, { machine: 'vm-1', what: 'A failback' })).toThrow(
      'agent.yaml has no "power"',
    );
  });
});

describe('the rule that a source is read', () => {
  it('lets one module write disks, and one caller have it', async () => {
    const agent = join(import.meta.dirname, '..', '..', '..', 'agent');
    const names = (await readdir(agent, { recursive: true })).filter((name) => name.endsWith('.ts'));
    const having = async (pattern: RegExp): Promise<string[]> => {
      const texts = await Promise.all(names.map((name) => readFile(join(agent, name), 'utf8')));
      return names.filter((_, index) => pattern.test(texts[index]!)).sort();
    };
    expect(await having(/from '.*sourceDiskWriter.ts'/)).toEqual([
      'daemon/failback.ts',
      'failback/applyDisk.ts',
    ]);
    expect(
      await having(/import (?!type).* from '.*sourceDiskWriter.ts'|^} from '.*sourceDiskWriter.ts'/m),
    ).toEqual(['daemon/failback.ts']);
    // The other two go on with journals of their own.
    expect(await having(/'r\+'|O_RDWR|O_WRONLY|O_APPEND/)).toEqual([
      'failback/sourceDiskWriter.ts',
      'resync/comparisonJournal.ts',
      'upload/copyCursor.ts',
    ]);
  });
});
