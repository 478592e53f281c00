// The commands that look into logs, compare them and make one of many: results are files and documents, judged by what
// they do to a disk.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../../cli/run.ts';
import { buildHrl, type HrlWrite } from '../../lib/hrl/writer.ts';
import { FakeTerminal } from '../support/fakeTerminal.ts';
import { cliFolder, type CliFolder } from './runCli.ts';

const mib = 1024 * 1024;
const nil = '00000000-0000-0000-0000-000000000000';
const idOf = (index: number): string => `5e1f0a77-0000-4000-8000-${String(index).padStart(12, '0')}`;
let folder: CliFolder;

beforeEach(async () => {
  folder = await cliFolder();
});
afterEach(() => folder.remove());

const page = (value: number, pages = 1): Uint8Array => new Uint8Array(4096 * pages).fill(value);

/** Three logs of one disk, the second of which overwrites part of the first. */
const threeCycles: HrlWrite[][] = [
  [
    { diskOffset: 0, data: page(1, 4) },
    { diskOffset: mib, data: page(2, 1200) },
  ],
  [{ diskOffset: 4096, data: page(3) }],
  [
    { diskOffset: 2 * mib, data: page(0, 300) },
    { diskOffset: 8192, data: page(5) },
  ],
];

async function writeLog(
  name: string,
  writes: readonly HrlWrite[],
  id: number,
  previous = id - 1,
): Promise<string> {
  const previousUniqueId = previous === 0 ? nil : idOf(previous);
  const createdAt = new Date(Date.UTC(2026, 4, 1, 10, id));
  await writeFile(folder.file(name), buildHrl(writes, { uniqueId: idOf(id), previousUniqueId, createdAt }));
  return name;
}

async function writeChain(): Promise<string[]> {
  const names: string[] = [];
  for (const [index, writes] of threeCycles.entries())
    names.push(await writeLog(`${index + 1}.hrl`, writes, index + 1));
  return names;
}

async function diskAfter(...logs: string[]): Promise<Buffer> {
  await writeFile(folder.file('disk.raw'), Buffer.alloc(8 * mib, 7));
  for (const log of logs)
    expect(await folder.run(['hrl', 'apply', log, 'disk.raw'])).toMatchObject({ exitCode: 0, stderr: '' });
  return readFile(folder.file('disk.raw'));
}

describe('hrl merge', () => {
  it('makes one log with the effect and the place of the chain', async () => {
    const logs = await writeChain();
    const { exitCode, json } = await folder.runJson(['hrl', 'merge', 'all.hrl', ...logs]);
    expect(exitCode).toBe(0);
    expect(json).toMatchObject({ uniqueId: idOf(3), previousUniqueId: nil, logCount: 3, inputEntryCount: 5 });
    expect(json['dataBytes']).toBe(4096 * (4 + 1200));
    expect((await diskAfter('all.hrl')).equals(await diskAfter(...logs))).toBe(true);
    const verified = await folder.run(['hrl', 'verify', 'all.hrl', '--sha256', String(json['sha256'])]);
    expect(verified.exitCode).toBe(0);
    const inspected = await folder.runJson(['hrl', 'inspect', 'all.hrl']);
    expect(inspected.json['header']).toMatchObject({
      createdAt: '2026-05-01T10:01:00.000Z',
      lastModifiedAt: '2026-05-01T10:03:00.000Z',
    });
  });

  it('of a part of the chain leaves logs that follow each other', async () => {
    const [first = '', second = '', third = ''] = await writeChain();
    await folder.run([
      'hrl',
      'merge',
      'two.hrl',
      second,
      third,
      '--data-checksums',
      '--metadata-size',
      '512',
    ]);
    const verified = await folder.runJson(['hrl', 'verify', 'two.hrl', '--previous', idOf(1)]);
    expect(verified.json).toMatchObject({
      valid: true,
      header: { uniqueId: idOf(3), metadataSizeBytes: 512 },
    });
    expect((await diskAfter(first, 'two.hrl')).equals(await diskAfter(first, second, third))).toBe(true);
    const damaged = await readFile(folder.file('two.hrl'));
    damaged[8192]! ^= 1;
    await writeFile(folder.file('damaged.hrl'), damaged);
    const refused = await folder.runJson(['hrl', 'verify', 'damaged.hrl']);
    expect(refused.json['error']).toMatchObject({ code: 'LogDataCorrupt' });
  });

  it.each([
    [['2.hrl', '1.hrl'], '1.hrl', 'a place before 2.hrl'],
    [['1.hrl', '3.hrl'], '3.hrl', idOf(1)],
    [['1.hrl', '1.hrl'], '1.hrl', 'another log than the one applied last'],
  ])('of %j names what is out of place, and makes nothing', async (logs, file, expected) => {
    await writeChain();
    const { exitCode, stderr } = await folder.run(['hrl', 'merge', 'all.hrl', ...logs]);
    expect(exitCode).toBe(3);
    expect(stderr).toContain(`LogChainBroken: ${file}: `);
    expect(stderr).toContain(expected);
    expect(stderr).toMatch(/→ Nothing was changed\..*lifeboat hrl inspect/);
    expect(await readdir(folder.path)).not.toContain('all.hrl');
  });

  it('finds out that it may not write before it reads the logs', async () => {
    await writeFile(folder.file('1.hrl'), 'no log');
    await writeFile(folder.file('all.hrl'), 'precious');
    const codeOf = async (...args: string[]): Promise<unknown> => {
      const { json } = await folder.runJson(['hrl', 'merge', ...args]);
      return (json['error'] as { code: string }).code;
    };
    expect(await codeOf('all.hrl', '1.hrl')).toBe('FileExists');
    expect(await codeOf('1.hrl', '1.hrl', '--force')).toBe('UsageError');
    expect(await codeOf('all.hrl', '1.hrl', '--force')).toBe('LogNotHrl');
    expect(await codeOf('all.hrl', 'missing.hrl', '--force')).toBe('FileNotFound');
    expect(await readFile(folder.file('all.hrl'), 'utf8')).toBe('precious');
  });

  it('of logs that say "nothing changed" says so too', async () => {
    await writeLog('1.hrl', [], 1);
    await writeLog('2.hrl', [], 2);
    const { json } = await folder.runJson(['hrl', 'merge', 'all.hrl', '1.hrl', '2.hrl']);
    expect(json).toMatchObject({ entryCount: 0, dataBytes: 0, sizeBytes: 8192 });
    const verified = await folder.run(['hrl', 'verify', 'all.hrl', '--sha256', String(json['sha256'])]);
    expect(verified.exitCode).toBe(0);
  });

  it('refuses a chain with a gap, a log past the disk and one of another chain, and writes nothing', async () => {
    const [first = '', second = '', third = ''] = await writeChain();
    const before = (await readdir(folder.path)).sort();
    const cases: [args: string[], code: string, file: string][] = [
      [[first, third], 'LogChainBroken', third],
      [[third, second], 'LogChainBroken', second],
      [[first, second, third, '--previous', idOf(1)], 'LogChainBroken', first],
      [[second, third, '--previous', idOf(9)], 'LogChainBroken', second],
      [[first, second, '--disk-size', '1MiB'], 'LogEntryOutOfBounds', first],
    ];
    for (const [args, code, file] of cases) {
      const { exitCode, json } = await folder.runJson(['hrl', 'merge', 'all.hrl', ...args]);
      expect([exitCode, json['error']]).toMatchObject([3, { code }]);
      expect((json['error'] as { message: string }).message).toContain(`${file}: `);
    }
    expect((await readdir(folder.path)).sort()).toEqual(before);
  });

  it('replaces a log only with --force, and an input never', async () => {
    const logs = await writeChain();
    await writeFile(folder.file('all.hrl'), 'old');
    const refused = await folder.runJson(['hrl', 'merge', 'all.hrl', ...logs]);
    expect([refused.exitCode, refused.json['error']]).toMatchObject([1, { code: 'FileExists' }]);
    expect(await folder.run(['hrl', 'merge', 'all.hrl', ...logs, '--force'])).toMatchObject({ exitCode: 0 });
    expect(await folder.run(['hrl', 'merge', '2.hrl', ...logs, '--force'])).toMatchObject({ exitCode: 2 });
    expect(await folder.run(['hrl', 'merge', 'x.hrl', '1.hrl', '--metadata-size', '100'])).toMatchObject({
      exitCode: 2,
    });
    const missing = await folder.runJson(['hrl', 'merge', 'x.hrl', '1.hrl', 'nothing.hrl']);
    expect([missing.exitCode, missing.json['error']]).toMatchObject([1, { code: 'FileNotFound' }]);
  });

  it('an interrupt leaves no file', async () => {
    const logs = await writeChain();
    const signal = AbortSignal.abort();
    expect(await folder.run(['hrl', 'merge', 'all.hrl', ...logs], { signal })).toMatchObject({
      exitCode: 130,
    });
    expect(await readdir(folder.path)).not.toContain('all.hrl');
  });
});

describe('hrl diff', () => {
  it('exits with 0 for the same effect, however it is written', async () => {
    const logs = await writeChain();
    await folder.run(['hrl', 'merge', 'all.hrl', ...logs]);
    await writeLog('other.hrl', threeCycles.flat(), 9, 8);
    const { exitCode, json, stderr } = await folder.runJson(['hrl', 'diff', 'all.hrl', 'other.hrl']);
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(json).toMatchObject({ sameEffect: true, differences: [], otherData: { rangeCount: 0, bytes: 0 } });
    expect((await folder.run(['hrl', 'diff', 'all.hrl', 'other.hrl'])).stdout).toContain('the same effect');
  });

  it('exits with 1 and says where only one writes, and where both write other data', async () => {
    const other = page(1, 4);
    other[5000] = 9;
    await writeLog(
      'a.hrl',
      [
        { diskOffset: 0, data: page(1, 4) },
        { diskOffset: mib, data: page(2) },
      ],
      1,
    );
    await writeLog(
      'b.hrl',
      [
        { diskOffset: 0, data: other },
        { diskOffset: 2 * mib, data: page(2, 2) },
      ],
      2,
    );
    const { exitCode, json, stderr } = await folder.runJson(['hrl', 'diff', 'a.hrl', 'b.hrl']);
    expect([exitCode, stderr]).toEqual([1, '']);
    expect(json).toMatchObject({
      sameEffect: false,
      differences: [
        { kind: 'onlyFirst', diskOffset: mib, length: 4096 },
        { kind: 'onlySecond', diskOffset: 2 * mib, length: 8192 },
        { kind: 'otherData', diskOffset: 4608, length: 512 },
      ],
      onlySecond: { rangeCount: 1, bytes: 8192 },
    });
    const text = await folder.run(['hrl', 'diff', 'a.hrl', 'b.hrl']);
    expect(text).toMatchObject({ exitCode: 1, stderr: '' });
    expect(text.stdout).toContain('other data  [4608, 5120) 512 bytes');
    expect(text.stdout).toMatch(/only in b\.hrl\s+8192 \(8\.0 KiB\) in 1 ranges/);
  });

  it('lists 20 ranges, or all with --all, and counts all', async () => {
    const writes = Array.from({ length: 30 }, (_unused, index) => ({
      diskOffset: index * 8192,
      data: page(1),
    }));
    await writeLog('a.hrl', writes, 1);
    await writeLog('b.hrl', [], 2);
    const some = await folder.run(['hrl', 'diff', 'a.hrl', 'b.hrl']);
    expect(some.stdout.match(/^only first/gm)).toHaveLength(20);
    expect(some.stdout).toContain('10 more ranges');
    const all = await folder.runJson(['hrl', 'diff', 'a.hrl', 'b.hrl', '--all']);
    expect(all.json['differences']).toHaveLength(30);
    expect(all.json['onlyFirst']).toEqual({ rangeCount: 30, bytes: 30 * 4096 });
  });

  it('exits with 3 for a log that is refused', async () => {
    await writeLog('a.hrl', [], 1);
    await writeFile(folder.file('b.hrl'), 'nothing');
    const { exitCode, json } = await folder.runJson(['hrl', 'diff', 'a.hrl', 'b.hrl']);
    expect([exitCode, json['error']]).toMatchObject([3, { code: 'LogNotHrl' }]);
  });
});

describe('hrl inspect', () => {
  it('says where the log stands in its chain, lists its blocks and draws where it writes', async () => {
    const writes = [
      { diskOffset: 0, data: page(1, 32) },
      { diskOffset: 4 * mib, data: page(2) },
      { diskOffset: 0, data: page(3) },
    ];
    await writeLog('1.hrl', writes, 1);
    const { json } = await folder.runJson(['hrl', 'inspect', '1.hrl', '--disk-size', '8MiB']);
    const coveredBytes = new Array<number>(64).fill(0);
    coveredBytes[0] = 32 * 4096;
    coveredBytes[32] = 4096;
    const dataBytes = 34 * 4096;
    expect(json).toMatchObject({
      startsChain: true,
      effectiveBytes: 33 * 4096,
      rewrittenBytes: 4096,
      heatMap: { cellBytes: 128 * 1024, coveredBytes },
      blocks: [
        { index: 0, offset: 4096, entryCount: 0, dataStart: 4096, dataBytes: 0 },
        { index: 1, offset: 8192 + dataBytes, entryCount: 3, dataStart: 8192, dataBytes },
      ],
    });
    const { stdout } = await folder.run(['hrl', 'inspect', '1.hrl', '--disk-size', '8MiB', '--blocks']);
    expect(stdout).toContain(`[@${' '.repeat(31)}.${' '.repeat(31)}]`);
    expect(stdout).toMatch(/previous id\s+none: the log starts a chain/);
    expect(stdout).toMatch(new RegExp(`^ +1 +${8192 + dataBytes} +3 +8192 +${dataBytes}$`, 'm'));
    await writeLog('2.hrl', [], 2);
    const second = await folder.run(['hrl', 'inspect', '2.hrl']);
    expect(second.stdout).toContain(idOf(1));
    expect(second.stdout).toContain(`[${' '.repeat(64)}]`);
  });
});

it('long work shows progress on a terminal, and takes it away at the end', async () => {
  const logs = await writeChain();
  const stderr = new FakeTerminal();
  // By this clock every step takes a second.
  let nowMs = 0;
  const io = {
    ...{ stdout: new PassThrough().resume(), stderr, stdin: Readable.from(['']), env: {}, cwd: folder.path },
    ...{ signal: new AbortController().signal, now: () => (nowMs += 1000) },
  };
  expect(await run(['hrl', 'merge', 'all.hrl', ...logs], io)).toBe(0);
  expect(await run(['hrl', 'diff', 'all.hrl', '1.hrl'], io)).toBe(1);
  for (const what of ['verifying: ', 'merging: ', 'comparing: '])
    expect(
      [...stderr.seen].some((line) => line.includes(what)),
      what,
    ).toBe(true);
  expect(stderr.lines).toEqual([]);
});
