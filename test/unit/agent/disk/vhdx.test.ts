// The structures of VHDX that a reader must check.
import { describe, expect, it } from 'vitest';
import { crc32cWithField } from '../../../../agent/disk/vhdx/crc32c.ts';
import { plainCrc32c, vhdxLayout, type VhdxOptions } from '../../../support/images/vhdxWriter.ts';
import {
  build,
  changeHeaders,
  changeRegions,
  dataWriteGuid,
  expectReads,
  expectRefused,
  mib,
  random,
  unknownGuid,
} from './vhdxTestBed.ts';

const { headersAt, regionsAt, metadataAt, tableAt } = vhdxLayout;

it('CRC-32C is that of the standard check, and of a plain reader for any length', () => {
  const check = Buffer.from('123456789');
  expect(plainCrc32c(check)).toBe(0xe3069283);
  for (const length of [4, 5, 11, 12, 13, 64, 4096, 4099]) {
    const bytes = random.bytes(length);
    for (const fieldAt of [0, Math.min(4, length - 4), length - 4]) {
      const zeroed = Buffer.from(bytes).fill(0, fieldAt, fieldAt + 4);
      expect(crc32cWithField(bytes, fieldAt)).toBe(plainCrc32c(zeroed));
    }
  }
});

describe('a VHDX', () => {
  it('is read by the newer header, and by the other one when that is torn', async () => {
    const newer = changeHeaders(build(), (header, index) =>
      header.writeBigUInt64LE(index === 0 ? 9n : 3n, 8),
    );
    await expectReads(newer);
    for (const offset of headersAt) await expectReads(build().fill(0xee, offset, offset + 100));
    await expectReads(build().fill(0xee, regionsAt[0], regionsAt[0] + 100));
  });

  it('may have unknown regions and items that are not required, and not others', async () => {
    await expectReads(build({ extraRegion: { guid: unknownGuid, isRequired: false } }));
    await expectReads(build({ extraItem: { guid: unknownGuid, isRequired: false } }));
    const region = build({ extraRegion: { guid: unknownGuid, isRequired: true } });
    await expectRefused(region, 'DiskImageUnsupported', `region ${unknownGuid}`);
    const item = build({ extraItem: { guid: unknownGuid, isRequired: true } });
    await expectRefused(item, 'DiskImageUnsupported', `item ${unknownGuid}`);
  });

  const table = (change: (table: Buffer) => void, options?: Partial<VhdxOptions>): Buffer => {
    const image = build(options);
    change(image.subarray(tableAt));
    return image;
  };
  const parent = { linkage: dataWriteGuid, paths: { relative_path: 'none.vhdx' } };
  const ratio = 2 ** 11;

  it.each<[string, () => Buffer, string, string]>([
    ['both headers', () => build().fill(1, headersAt[0], headersAt[1] + 9), 'DiskImageCorrupt', 'headers'],
    [
      'headers that contradict',
      () =>
        changeHeaders(build(), (header, index) => {
          header.writeBigUInt64LE(5n, 8);
          header.writeUInt8(index, 100);
        }),
      'DiskImageCorrupt',
      'same sequence number',
    ],
    [
      'another version',
      () => changeHeaders(build(), (header) => header.writeUInt16LE(2, 66)),
      'DiskImageUnsupported',
      'version 2',
    ],
    [
      'both region tables',
      () => build().fill(1, regionsAt[0], regionsAt[1] + 9),
      'DiskImageCorrupt',
      'region tables',
    ],
    [
      'regions that overlap',
      () => changeRegions(build(), (regions) => regions.writeBigUInt64LE(BigInt(tableAt), 48 + 16)),
      'DiskImageCorrupt',
      'overlap',
    ],
    [
      'a region outside the file',
      () => changeRegions(build(), (regions) => regions.writeBigUInt64LE(2n ** 62n, 32)),
      'DiskImageCorrupt',
      'inside the file',
    ],
    [
      'no metadata region',
      () => changeRegions(build(), (regions) => regions.writeUInt32LE(1, 8)),
      'DiskImageCorrupt',
      'no region',
    ],
    [
      'too many regions',
      () => changeRegions(build(), (regions) => regions.writeUInt32LE(4_000_000, 8)),
      'DiskImageCorrupt',
      'entries',
    ],
    [
      'the metadata signature',
      () => build().fill(0, metadataAt, metadataAt + 8),
      'DiskImageCorrupt',
      'signature',
    ],
    [
      'odd blocks',
      () => {
        const image = build();
        image.writeUInt32LE(3 * mib, metadataAt + 65_536);
        return image;
      },
      'DiskImageCorrupt',
      'blocks of',
    ],
    [
      'an odd size',
      () => {
        const image = build();
        image.writeBigUInt64LE(1001n, metadataAt + 65_544);
        return image;
      },
      'DiskImageCorrupt',
      '1001 bytes',
    ],
    [
      'a size that the table is too small for',
      () => {
        const image = build();
        image.writeBigUInt64LE(2n ** 45n, metadataAt + 65_544);
        return image;
      },
      'DiskImageCorrupt',
      'entries',
    ],
    [
      'a block state that there is not',
      () => table((entries) => entries.writeUInt8(5, 0)),
      'DiskImageCorrupt',
      'state 5',
    ],
    [
      'partial blocks without a parent',
      () => table((entries) => entries.writeUInt8((entries[0] ?? 0) | 7, 0)),
      'DiskImageCorrupt',
      'state 7',
    ],
    [
      'a block outside the file',
      () => table((entries) => entries.writeUInt32LE(1, 4)),
      'DiskImageCorrupt',
      'outside the file',
    ],
    [
      'two blocks in one place',
      () => table((entries) => entries.copyWithin(0, 8, 16)),
      'DiskImageCorrupt',
      'lies over',
    ],
    [
      'a block over the table',
      () => table((entries) => entries.writeBigUInt64LE((3n << 20n) | 6n, 0)),
      'DiskImageCorrupt',
      'lies over',
    ],
    [
      'a differencing disk without the bitmap that it needs',
      () => table((entries) => entries.writeBigUInt64LE(0n, ratio * 8), { parent, blockSizeBytes: 2 * mib }),
      'DiskImageCorrupt',
      'needed',
    ],
    ['a truncated file', () => build().subarray(0, 5 * mib), 'DiskImageCorrupt', 'outside the file'],
    ['a file of a few bytes', () => Buffer.from('vhdxfile'), 'DiskImageCorrupt', 'too short'],
  ])('is refused for %s', async (_, make, code, reason) => {
    await expectRefused(make(), code, reason === 'needed' ? 'need it' : reason);
  });
});
