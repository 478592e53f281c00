// The footer against the VHD specification, against sizes that real tools wrote, and against qemu where it is installed.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync, openSync, writeSync, closeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  chsGeometry,
  fixedVhdBlobSizeBytes,
  formatFixedVhdFooter,
  paddedSizeBytes,
  parseVhdFooter,
  VhdError,
} from '../../../lib/vhd/fixed.ts';

const mib = 1024 ** 2;
const gib = 1024 ** 3;
const tib = 1024 ** 4;
const uniqueId = '8c4b2d10-77aa-4e0f-9c31-0123456789ab';
const createdAt = new Date('2026-03-01T12:34:56Z');
const footerOf = (sizeBytes: number): Uint8Array => formatFixedVhdFooter({ sizeBytes, uniqueId, createdAt });

describe('sizes', () => {
  it.each([
    [512, mib],
    [mib, mib],
    [mib + 512, 2 * mib],
    [8 * tib - mib, 8 * tib - mib],
  ])('a disk of %i bytes is padded to %i', (disk, padded) => {
    expect(paddedSizeBytes(disk)).toBe(padded);
    expect(fixedVhdBlobSizeBytes(disk)).toBe(padded + 512);
  });

  it.each([0, -512, 511, 513, Number.NaN, 8 * tib - mib + 512, 8 * tib])(
    'refuses a disk of %d bytes',
    (disk) => {
      expect(thrownBy(() => paddedSizeBytes(disk))).toMatchObject({ code: 'DiskUnsupported' });
    },
  );
});

describe('geometry', () => {
  it.each([
    // sizeBytes, cylinders, heads, sectorsPerTrack; the first was written by Windows.
    [4_194_304, 120, 4, 17],
    [64 * mib, 963, 8, 17],
    [200 * mib, 825, 16, 31],
    [256 * mib, 520, 16, 63],
    [gib, 2080, 16, 63],
    [40 * gib, 20_560, 16, 255],
    [2 * tib, 65_535, 16, 255],
  ])('of %i bytes', (sizeBytes, cylinders, heads, sectorsPerTrack) => {
    expect(chsGeometry(sizeBytes)).toEqual({ cylinders, heads, sectorsPerTrack });
  });
});

describe('footer', () => {
  it('has the fields of a fixed disk at their places', () => {
    const footer = Buffer.from(footerOf(20 * mib));
    expect(footer).toHaveLength(512);
    expect(footer.toString('latin1', 0, 8)).toBe('conectix');
    expect(footer.toString('hex', 8, 24)).toBe('0000000200010000ffffffffffffffff');
    expect(footer.readUInt32BE(24)).toBe(createdAt.getTime() / 1000 - 946_684_800);
    expect(footer.readBigUInt64BE(40)).toBe(BigInt(20 * mib));
    expect(footer.readBigUInt64BE(48)).toBe(BigInt(20 * mib));
    expect(footer.readUInt32BE(60)).toBe(2);
    expect(footer.toString('hex', 68, 84)).toBe(uniqueId.replaceAll('-', ''));
    const sum = footer.reduce((total, byte, at) => total + (at >= 64 && at < 68 ? 0 : byte), 0);
    expect(footer.readUInt32BE(64)).toBe(~sum >>> 0);
  });

  it('reads back what it wrote', () => {
    expect(parseVhdFooter(footerOf(3 * gib))).toEqual({
      diskType: 'fixed',
      sizeBytes: 3 * gib,
      originalSizeBytes: 3 * gib,
      uniqueId,
      createdAt,
      creatorApplication: 'win ',
      geometry: chsGeometry(3 * gib),
    });
  });

  it('refuses every footer with one byte changed', () => {
    for (let at = 0; at < 512; at++) {
      const footer = footerOf(mib);
      footer[at]! ^= 0x10;
      expect(() => parseVhdFooter(footer), `byte ${at}`).toThrow(VhdError);
    }
  });

  it.each([
    ['footer', (footer: Buffer) => footer.subarray(1)],
    ['Cookie', (footer: Buffer) => footer.fill(0)],
    ['FileFormatVersion', (footer: Buffer) => resealed(footer, () => footer.writeUInt32BE(0x20000, 12))],
    ['DiskType', (footer: Buffer) => resealed(footer, () => footer.writeUInt32BE(5, 60))],
    ['CurrentSize', (footer: Buffer) => resealed(footer, () => footer.writeBigUInt64BE(2n ** 60n, 48))],
  ])('names the field %s', (field, breakIt) => {
    const broken = breakIt(Buffer.from(footerOf(mib)));
    expect(thrownBy(() => parseVhdFooter(broken))).toMatchObject({ code: 'InvalidRequest', field });
  });

  it('refuses to describe a size that is not padded, and an id that is no GUID', () => {
    expect(() => footerOf(mib + 512)).toThrow(RangeError);
    expect(() => footerOf(0)).toThrow(RangeError);
    expect(() => formatFixedVhdFooter({ sizeBytes: mib, uniqueId: 'disk-1', createdAt })).toThrow(RangeError);
  });
});

function thrownBy(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return error;
  }
}

/** Changes a footer and makes its checksum right again. */
function resealed(footer: Buffer, change: () => unknown): Buffer {
  change();
  footer.writeUInt32BE(0, 64);
  const sum = footer.reduce((total, byte) => total + byte, 0);
  footer.writeUInt32BE(~sum >>> 0, 64);
  return footer;
}

const hasQemu = spawnSync('qemu-img', ['--version']).status === 0;

describe.skipIf(!hasQemu)('as qemu reads it', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'lifeboat-vhd-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it.each([512, 4_194_304, 20 * mib + 512, 64 * mib, 10_188_185_600, 128 * gib, 2000 * gib])(
    'a disk of %i bytes has its padded size',
    (disk) => {
      const path = join(folder, `${disk}.vhd`);
      const sizeBytes = paddedSizeBytes(disk);
      writeFileSync(path, '');
      truncateSync(path, sizeBytes);
      const file = openSync(path, 'r+');
      writeSync(file, footerOf(sizeBytes), 0, 512, sizeBytes);
      closeSync(file);
      const info: unknown = JSON.parse(
        execFileSync('qemu-img', ['info', '-f', 'vpc', '--output=json', path]).toString(),
      );
      expect(info).toMatchObject({ format: 'vpc', 'virtual-size': sizeBytes });
    },
  );

  it('converts to the bytes that were put in', () => {
    const path = join(folder, 'content.vhd');
    const raw = join(folder, 'content.raw');
    const disk = Buffer.alloc(5 * mib, 'lifeboat');
    writeFileSync(path, Buffer.concat([disk, footerOf(disk.length)]));
    execFileSync('qemu-img', ['convert', '-f', 'vpc', '-O', 'raw', path, raw]);
    const converted = execFileSync('cmp', [raw, '-'], { input: disk });
    expect(converted.toString()).toBe('');
  });
});
