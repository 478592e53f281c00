import { readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memorySource } from '../../lib/disk/source.ts';
import { readHrl } from '../../lib/hrl/reader.ts';
import { buildHrl } from '../../lib/hrl/writer.ts';
import { formatFixedVhdFooter } from '../../lib/vhd/fixed.ts';
import { arbitraryWrites, diskSizeBytes } from '../merge/arbitraryWrites.ts';
import { diskPair } from './diskPair.ts';
import { cliFolder, type CliFolder } from './runCli.ts';

const guids = {
  first: '11111111-2222-3333-4444-555555555555',
  second: 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee',
};
const mib = 1024 * 1024;
let folder: CliFolder;

beforeEach(async () => {
  folder = await cliFolder();
});
afterEach(() => folder.remove());

async function writePair(sizeBytes?: number): Promise<{ base: Buffer; changed: Buffer }> {
  const pair = diskPair(sizeBytes);
  await writeFile(folder.file('base.raw'), pair.base);
  await writeFile(folder.file('changed.raw'), pair.changed);
  return pair;
}

const createArgs = ['hrl', 'create', '--base', 'base.raw', '--changed', 'changed.raw', '--out', 'delta.hrl'];

describe('create, verify, inspect, apply', () => {
  it('turns the base into the changed disk', async () => {
    const { changed } = await writePair();
    const created = await folder.runJson([...createArgs, '--id', guids.second, '--previous', guids.first]);
    expect(created.exitCode).toBe(0);
    expect(created.json).toMatchObject({ uniqueId: guids.second, previousUniqueId: guids.first });

    const verified = await folder.runJson([
      ...['hrl', 'verify', 'delta.hrl', '--sha256', String(created.json['sha256'])],
      ...['--previous', guids.first, '--disk-size', String(changed.length)],
    ]);
    expect(verified).toMatchObject({ exitCode: 0, stderr: '' });
    expect(verified.json).toMatchObject({ valid: true, sha256: created.json['sha256'] });

    const applied = await folder.runJson(['hrl', 'apply', 'delta.hrl', 'base.raw']);
    expect(applied.exitCode).toBe(0);
    expect((await readFile(folder.file('base.raw'))).equals(changed)).toBe(true);
    expect(await folder.run(['hrl', 'apply', 'delta.hrl', 'base.raw'])).toMatchObject({ exitCode: 0 });
    expect((await readFile(folder.file('base.raw'))).equals(changed)).toBe(true);
  });

  it('logs 4 KiB blocks, neighbours joined, nothing else', async () => {
    const { changed } = await writePair();
    await folder.run(createArgs);
    const inspected = await folder.runJson(['hrl', 'inspect', 'delta.hrl', '--entries']);
    const entries = inspected.json['entries'] as { diskOffset: number; length: number }[];
    expect(entries.map(({ diskOffset, length }) => [diskOffset, length])).toEqual([
      [Math.floor(70_000 / 4096) * 4096, 4096],
      [mib, mib],
      [3 * mib, changed.length - 3 * mib],
    ]);
  });

  it('makes a valid log that says "nothing changed" of equal disks', async () => {
    const { base } = await writePair();
    await writeFile(folder.file('changed.raw'), base);
    expect((await folder.runJson(createArgs)).json).toMatchObject({ entryCount: 0, dataBytes: 0 });
    expect(await folder.run(['hrl', 'verify', 'delta.hrl'])).toMatchObject({ exitCode: 0 });
    expect(await folder.run(['hrl', 'apply', 'delta.hrl', 'changed.raw'])).toMatchObject({ exitCode: 0 });
    expect((await readFile(folder.file('changed.raw'))).equals(base)).toBe(true);
  });

  it('takes extents from stdin in any order, overlapping', async () => {
    const { changed } = await writePair();
    const extents = JSON.stringify([
      { offset: mib + 4096, length: mib },
      { offset: 0, length: 512 },
      { offset: mib, length: 8192 },
    ]);
    const args = ['hrl', 'create', '--extents', '-', '--changed', 'changed.raw', '--out', 'delta.hrl'];
    expect((await folder.runJson(args, { stdin: extents })).exitCode).toBe(0);
    const log = await readHrl(memorySource(await readFile(folder.file('delta.hrl'))));
    expect([...log.entries.diskOffsets]).toEqual([0, mib]);
    expect([...log.entries.lengths]).toEqual([512, mib + 4096]);
    const data = (await readFile(folder.file('delta.hrl'))).subarray(log.entries.dataOffsets[1]);
    expect(data.subarray(0, mib + 4096).equals(changed.subarray(mib, 2 * mib + 4096))).toBe(true);
  });

  it('reads and writes the disk inside a fixed VHD', async () => {
    const { base, changed } = diskPair(2 * mib);
    const footer = formatFixedVhdFooter({ sizeBytes: 2 * mib, uniqueId: guids.first, createdAt: new Date() });
    await writeFile(folder.file('base.raw'), Buffer.concat([base, footer]));
    await writeFile(folder.file('changed.raw'), changed);
    expect(await folder.run(createArgs)).toMatchObject({ exitCode: 0 });
    expect(await folder.run(['hrl', 'apply', 'delta.hrl', 'base.raw'])).toMatchObject({ exitCode: 0 });
    expect((await readFile(folder.file('base.raw'))).equals(Buffer.concat([changed, footer]))).toBe(true);
  });

  it('apply equals writing the entries one after another', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryWrites, async (writes) => {
        const model = Buffer.alloc(diskSizeBytes, 7);
        await writeFile(folder.file('disk.raw'), model);
        await writeFile(
          folder.file('log.hrl'),
          buildHrl(writes, { uniqueId: guids.first, createdAt: new Date() }),
        );
        for (const { diskOffset, data } of writes) model.set(data, diskOffset);
        expect(await folder.run(['hrl', 'apply', 'log.hrl', 'disk.raw'])).toMatchObject({ exitCode: 0 });
        expect((await readFile(folder.file('disk.raw'))).equals(model)).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  it('--size makes an image that does not exist, and extends one that is shorter', async () => {
    const log = buildHrl([{ diskOffset: 8192, data: new Uint8Array(512).fill(9) }], {
      uniqueId: guids.first,
      createdAt: new Date(),
    });
    await writeFile(folder.file('log.hrl'), log);
    const expected = Buffer.alloc(16_384);
    expected.fill(9, 8192, 8704);
    for (const prepare of [undefined, 4096]) {
      if (prepare !== undefined) await writeFile(folder.file('new.raw'), Buffer.alloc(prepare));
      const applied = await folder.run(['hrl', 'apply', 'log.hrl', 'new.raw', '--size', '16KiB']);
      expect(applied).toMatchObject({ exitCode: 0 });
      expect((await readFile(folder.file('new.raw'))).equals(expected)).toBe(true);
    }
  });

  it('counts what later writes of a log overwrite', async () => {
    const page = new Uint8Array(4096).fill(1);
    const writes = [0, 4096, 0, 2048].map((diskOffset) => ({ diskOffset, data: page }));
    await writeFile(
      folder.file('log.hrl'),
      buildHrl(writes, { uniqueId: guids.first, createdAt: new Date() }),
    );
    const { json } = await folder.runJson(['hrl', 'inspect', 'log.hrl']);
    expect(json).toMatchObject({
      entryCount: 4,
      dataBytes: 16_384,
      effectiveBytes: 8192,
      rewrittenBytes: 8192,
    });
    const { stdout } = await folder.run(['hrl', 'inspect', 'log.hrl']);
    expect(stdout).toMatch(/effective data\s+8192/);
  });
});

describe('refused logs', () => {
  it('exit with 3, say where the log is wrong, and change nothing', async () => {
    const { base } = await writePair();
    await folder.run([...createArgs, '--data-checksums', '--previous', guids.first]);
    const good = await readFile(folder.file('delta.hrl'));
    const flip = (offset: number): Buffer => {
      const bytes = Buffer.from(good);
      bytes[offset] = (bytes[offset] ?? 0) ^ 1;
      return bytes;
    };
    const cases: [string, Buffer, string[], string][] = [
      ['cookie', flip(0), [], 'LogNotHrl'],
      ['header', flip(20), [], 'LogHeaderCorrupt'],
      ['data', flip(9000), [], 'LogDataCorrupt'],
      ['cut', good.subarray(0, good.length - 1), [], 'LogTruncated'],
      ['empty', Buffer.alloc(0), [], 'LogNotHrl'],
      ['digest', good, ['--sha256', '0'.repeat(64)], 'LogDigestMismatch'],
      ['chain', good, ['--previous', guids.second], 'LogChainBroken'],
    ];
    for (const [name, bytes, options, code] of cases) {
      await writeFile(folder.file('bad.hrl'), bytes);
      const commands = [
        ['hrl', 'verify', 'bad.hrl'],
        ['hrl', 'apply', 'bad.hrl', 'base.raw'],
      ];
      for (const command of commands) {
        const result = await folder.runJson([...command, ...options]);
        expect([name, result.exitCode, (result.json['error'] as { code: string }).code]).toEqual([
          name,
          3,
          code,
        ]);
        expect(result.stderr).toBe('');
        const { message, recommendedAction } = result.json['error'] as Record<string, string>;
        expect(message).toContain('bad.hrl: ');
        expect(recommendedAction).toContain('Nothing was changed.');
      }
      if (!['data', 'digest', 'chain'].includes(name))
        expect((await folder.run(['hrl', 'inspect', 'bad.hrl'])).stderr).toContain(`${code}: bad.hrl: `);
    }
    expect((await readFile(folder.file('base.raw'))).equals(base)).toBe(true);
  });

  it('refuses a log that reaches past the image, and names place, cause and remedy on stderr', async () => {
    const { base } = await writePair();
    await folder.run(createArgs);
    await writeFile(folder.file('short.raw'), base.subarray(0, 2 * mib));
    const result = await folder.run(['hrl', 'apply', 'delta.hrl', 'short.raw']);
    expect(result).toMatchObject({ exitCode: 3, stdout: '' });
    expect(result.stderr).toContain('LogEntryOutOfBounds');
    expect(result.stderr).toContain(`disk size ${2 * mib}`);
    expect(result.stderr).toContain('→');
    expect((await readFile(folder.file('short.raw'))).equals(base.subarray(0, 2 * mib))).toBe(true);
    const verified = await folder.run(['hrl', 'verify', 'delta.hrl', '--disk-size', '2MiB']);
    expect(verified.exitCode).toBe(3);
  });
});

describe('wrong usage', () => {
  it.each([
    [[], 'Name a command'],
    [['nonsense'], "unknown command 'nonsense'"],
    [['hrl', 'verify'], "missing required argument 'file'"],
    [['hrl', 'verify', 'a', 'b'], 'too many arguments'],
    [['hrl', 'verify', 'a', '--sha256', 'xyz'], '64 hex digits'],
    [['hrl', 'verify', 'a', '--disk-size', '1000'], 'multiple of 512'],
    [['hrl', 'verify', 'a', '--previous', '123'], 'GUID'],
    [['hrl', 'create', '--changed', 'a', '--out', 'b'], 'either --base or --extents'],
    [
      ['hrl', 'create', '--changed', 'a', '--out', 'b', '--base', 'c', '--extents', 'd'],
      'either --base or --extents',
    ],
    [
      ['hrl', 'create', '--changed', 'a', '--out', 'b', '--base', 'c', '--metadata-size', '1000'],
      '--metadata-size',
    ],
    [['hrl', 'verify', ''], 'A path is empty'],
    [['hrl', 'create', '--changed', 'a', '--out', '', '--base', 'c'], 'A path is empty'],
    ...(
      [
        [['--id', '00000000-0000-0000-0000-000000000000'], 'no log'],
        [['--id', guids.first, '--previous', guids.first], 'does not follow itself'],
        [['--created-at', '1999-12-31T23:59:59Z'], 'from 2000 to 2136'],
        [['--created-at', '2026-02-30T00:00:00Z'], 'ISO 8601'],
      ] as [string[], string][]
    ).map(([options, text]): [string[], string] => {
      return [['hrl', 'create', '--changed', 'a', '--out', 'b', '--base', 'c', ...options], text];
    }),
    [['upload', 'disk', 'a', '--disk', 'd'], "'--item <id>' not specified"],
    [['upload', 'disk', 'a', '--item', 'A_B', '--disk', 'd'], 'a-z, 0-9'],
    [['upload', 'log', 'a', '--item', 'i', '--disk', 'd', '--cycle', '0'], 'cycle from 1'],
    [['upload', 'log', 'a', '--item', 'i', '--disk', 'd', '--taken-at', 'yesterday'], 'ISO 8601'],
    [
      [
        'upload',
        'disk',
        'a',
        '--item',
        'i',
        '--disk',
        'd',
        '--point-in-time',
        '2026-01-01T00:00:00Z',
        '--consistent-from',
        '2',
      ],
      'cannot be used with',
    ],
  ])('%j exits with 2', async (args, text) => {
    const plain = await folder.run(args);
    expect([plain.exitCode, plain.stdout]).toEqual([2, '']);
    if (args.length > 0) expect(plain.stderr).toContain(text);
    const { exitCode, json, stderr } = await folder.runJson(args);
    expect([exitCode, stderr]).toEqual([2, '']);
    expect(json['error']).toMatchObject({ code: 'UsageError', exitCode: 2 });
    expect((json['error'] as { message: string }).message).toContain(text);
  });

  it('prints help and version on stdout with 0', async () => {
    const version = await folder.run(['--version']);
    expect(version).toMatchObject({ exitCode: 0, stderr: '' });
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const help = await folder.run(['hrl', 'create', '--help']);
    expect(help).toMatchObject({ exitCode: 0, stderr: '' });
    expect(help.stdout).toContain('--extents');
  });
});

describe('files', () => {
  it.each([
    [['hrl', 'verify', 'nothing.hrl'], 'FileNotFound'],
    [['hrl', 'verify', '.'], 'FileUnreadable'],
    [['hrl', 'apply', 'delta.hrl', 'nothing.raw'], 'FileNotFound'],
    [['hrl', 'apply', 'none.hrl', 'odd.raw'], 'DiskSizeMismatch'],
    [['hrl', 'apply', 'none.hrl', 'odd.raw', '--size', '1MiB'], 'DiskSizeMismatch'],
    [['hrl', 'apply', 'none.hrl', 'empty.raw'], 'DiskSizeMismatch'],
    [['hrl', 'apply', 'none.hrl', 'no/folder/x.raw', '--size', '1MiB'], 'OutputUnwritable'],
    [['hrl', 'create', '--base', 'base.raw', '--changed', 'odd.raw', '--out', 'x.hrl'], 'DiskSizeMismatch'],
    [['hrl', 'create', '--base', 'base.raw', '--changed', 'short.raw', '--out', 'x.hrl'], 'DiskSizeMismatch'],
    [
      ['hrl', 'create', '--base', 'base.raw', '--changed', 'disk.vhdx', '--out', 'x.hrl'],
      'DiskFormatUnsupported',
    ],
    [
      ['hrl', 'create', '--base', 'base.raw', '--changed', 'delta.hrl', '--out', 'x.hrl'],
      'DiskFormatUnsupported',
    ],
    [
      ['hrl', 'create', '--base', 'base.raw', '--changed', 'changed.raw', '--out', 'no/folder/x.hrl'],
      'OutputUnwritable',
    ],
    [['hrl', 'create', '--base', 'base.raw', '--changed', 'changed.raw', '--out', 'delta.hrl'], 'FileExists'],
    [
      ['hrl', 'create', '--base', 'base.raw', '--changed', 'changed.raw', '--out', '/dev/null'],
      'OutputUnwritable',
    ],
    [
      ['hrl', 'create', '--extents', 'bad.json', '--changed', 'changed.raw', '--out', 'x.hrl'],
      'ExtentsInvalid',
    ],
  ])('%j fails with a named error and leaves nothing behind', async (args, code) => {
    const { base } = await writePair();
    await folder.run(createArgs);
    await folder.run(['hrl', 'create', '--base', 'base.raw', '--changed', 'base.raw', '--out', 'none.hrl']);
    await writeFile(folder.file('odd.raw'), Buffer.alloc(1000));
    await writeFile(folder.file('empty.raw'), '');
    await writeFile(folder.file('short.raw'), base.subarray(0, mib));
    await writeFile(folder.file('disk.vhdx'), Buffer.concat([Buffer.from('vhdxfile'), Buffer.alloc(504)]));
    await writeFile(folder.file('bad.json'), '[{"offset":0,"length":4096},{"offset":1,"length":512}]');
    const before = (await readdir(folder.path)).sort();
    const { exitCode, json } = await folder.runJson(args);
    expect([exitCode, (json['error'] as { code: string }).code]).toEqual([1, code]);
    expect((json['error'] as { recommendedAction: string }).recommendedAction).not.toBe('');
    expect((await readdir(folder.path)).sort()).toEqual(before);
  });

  it('--force replaces a log, but never an input', async () => {
    const { changed } = await writePair();
    await folder.run(createArgs);
    expect(await folder.run([...createArgs, '--force', '--id', guids.first])).toMatchObject({ exitCode: 0 });
    const log = await readHrl(memorySource(await readFile(folder.file('delta.hrl'))));
    expect(log.header.uniqueId).toBe(guids.first);
    await symlink(folder.file('changed.raw'), folder.file('alias'));
    const args = [
      'hrl',
      'create',
      '--base',
      'base.raw',
      '--changed',
      'changed.raw',
      '--force',
      '--out',
      'alias',
    ];
    expect(await folder.run(args)).toMatchObject({ exitCode: 2 });
    expect((await readFile(folder.file('changed.raw'))).equals(changed)).toBe(true);
  });

  it('an interrupt leaves no file and exits with 130', async () => {
    await writePair();
    const before = (await readdir(folder.path)).sort();
    const result = await folder.runJson(createArgs, { signal: AbortSignal.abort() });
    expect([result.exitCode, (result.json['error'] as { code: string }).code]).toEqual([130, 'Interrupted']);
    expect((await readdir(folder.path)).sort()).toEqual(before);
  });
});
