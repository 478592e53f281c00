import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDiskSource } from '../../../agent/diskSource.ts';
import { openFileSource } from '../../../agent/fileSource.ts';
import { writeOutputFile } from '../../../agent/outputFile.ts';
import { formatFixedVhdFooter } from '../../../lib/vhd/fixed.ts';

const mib = 1024 * 1024;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lifeboat-files-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);

/** A footer with one field changed and its checksum made right again. */
function footerWith(change: (footer: Buffer) => void): Buffer {
  const footer = Buffer.from(
    formatFixedVhdFooter({
      sizeBytes: mib,
      uniqueId: '11111111-2222-3333-4444-555555555555',
      createdAt: new Date(),
    }),
  );
  change(footer);
  footer.writeUInt32BE(0, 64);
  footer.writeUInt32BE(~footer.reduce((sum, byte) => sum + byte, 0) >>> 0, 64);
  return footer;
}

describe('sources', () => {
  it('reads exactly what is asked, and not past the end', async () => {
    const bytes = Buffer.from('0123456789');
    await writeFile(at('file'), bytes);
    await using source = await openFileSource(at('file'));
    expect(source.sizeBytes).toBe(10);
    expect(Buffer.from(await source.read(3, 4)).toString()).toBe('3456');
    expect(await source.read(10, 0)).toHaveLength(0);
    await expect(source.read(8, 3)).rejects.toThrow(RangeError);
    await source.close();
  });

  it('a file that shrinks is an error, not fewer bytes', async () => {
    await writeFile(at('file'), Buffer.alloc(1000));
    await using source = await openFileSource(at('file'));
    await truncate(at('file'), 500);
    await expect(source.read(0, 1000)).rejects.toMatchObject({ code: 'FileUnreadable' });
  });

  it('takes raw images as they are, and the disk inside a fixed VHD', async () => {
    await writeFile(at('tiny'), Buffer.alloc(100));
    await writeFile(at('raw'), Buffer.alloc(mib, 1));
    await writeFile(at('vhd'), Buffer.concat([Buffer.alloc(mib, 2), footerWith(() => undefined)]));
    for (const [name, format, sizeBytes] of [
      ['tiny', 'raw', 100],
      ['raw', 'raw', mib],
      ['vhd', 'vhd', mib],
    ] as const) {
      await using disk = await openDiskSource(at(name));
      expect([disk.format, disk.sizeBytes]).toEqual([format, sizeBytes]);
      await expect(disk.read(sizeBytes - 1, 2)).rejects.toThrow(RangeError);
    }
  });

  it.each([
    ['a dynamic VHD', () => footerWith((footer) => footer.writeUInt32BE(3, 60)), 'dynamic VHD'],
    [
      'a VHD that is cut',
      () => footerWith((footer) => footer.writeBigUInt64BE(BigInt(2 * mib), 48)),
      'damaged',
    ],
    ['a VHDX', () => Buffer.concat([Buffer.from('vhdxfile'), Buffer.alloc(mib)]), 'VHDX'],
    ['a qcow2', () => Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), Buffer.alloc(mib)]), 'qcow2'],
    ['a log', () => Buffer.concat([Buffer.from('msctlog '), Buffer.alloc(mib)]), 'Replica Log'],
  ])('refuses %s', async (_name, make, text) => {
    const tail = make();
    await writeFile(at('disk'), tail.length === 512 ? Buffer.concat([Buffer.alloc(mib), tail]) : tail);
    const error = await openDiskSource(at('disk')).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'DiskFormatUnsupported' });
    expect(
      `${(error as Error).message} ${(error as { recommendedAction: string }).recommendedAction}`,
    ).toContain(text);
  });

  it('refuses a VHD footer with a wrong checksum instead of guessing', async () => {
    const footer = footerWith(() => undefined);
    footer[68] = (footer[68] ?? 0) ^ 1;
    await writeFile(at('disk'), Buffer.concat([Buffer.alloc(mib), footer]));
    await expect(openDiskSource(at('disk'))).rejects.toThrow('Checksum');
  });
});

describe('output files', () => {
  it('appear whole', async () => {
    const result = await writeOutputFile(at('out'), {}, async (sink) => {
      await sink.write(0, Buffer.from('abc'));
      await sink.write(3, Buffer.from('def'));
      await sink.write(0, Buffer.from('A'));
      expect(await readdir(folder)).not.toContain('out');
      return 7;
    });
    expect(result).toBe(7);
    expect(await readdir(folder)).toEqual(['out']);
    expect(await readFile(at('out'), 'utf8')).toBe('Abcdef');
  });

  it.each([
    ['ENOSPC', 'OutputFull'],
    ['EDQUOT', 'OutputFull'],
    ['EROFS', 'OutputUnwritable'],
    ['EIO', 'OutputUnwritable'],
  ])('%s leaves nothing, also not of a file that would be replaced', async (errno, code) => {
    await writeFile(at('out'), 'before');
    const writing = writeOutputFile(at('out'), { replace: true }, async (sink) => {
      await sink.write(0, Buffer.from('half'));
      throw Object.assign(new Error(errno), { code: errno });
    });
    await expect(writing).rejects.toMatchObject({ code });
    expect(await readdir(folder)).toEqual(['out']);
    expect(await readFile(at('out'), 'utf8')).toBe('before');
  });

  it('keeps other errors as they are', async () => {
    const error = new Error('of the caller');
    await expect(writeOutputFile(at('out'), {}, () => Promise.reject(error))).rejects.toBe(error);
    expect(await readdir(folder)).toEqual([]);
  });
});
