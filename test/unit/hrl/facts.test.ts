// The facts that the published dump of a real log gives us: if one of these fails, logs of Hyper-V do not read.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../../lib/disk/source.ts';
import {
  addByteSum,
  checksumOf,
  entriesPerBlock,
  formatGuid,
  fromHrlSeconds,
  headerField,
  metadataEntryField,
  metadataEntrySizeBytes,
  metadataHeaderField,
  parseGuid,
  toHrlSeconds,
} from '../../../lib/hrl/format.ts';
import { encodeEntry, encodeMetadataBlock } from '../../../lib/hrl/metadataBlock.ts';
import { readHrl } from '../../../lib/hrl/reader.ts';
import { buildHrl } from '../../../lib/hrl/writer.ts';
import { planMerge } from '../../../lib/merge/plan.ts';

const uint32At = (bytes: Uint8Array, offset: number): number => Buffer.from(bytes).readUInt32LE(offset);

describe('checksums of the published dump', () => {
  it.each([
    [3_626_340_352, 4096, 539_842_382, 4_294_966_639],
    [10_188_185_600, 4096, 539_842_382, 4_294_966_776],
    [139_058_688, 512, 539_842_381, 4_294_966_748],
  ])('entry at %i of %i bytes written at %i has checksum %i', (diskOffset, length, timestamp, checksum) => {
    const entry = encodeEntry({ diskOffset, length, timestamp, dataChecksum: 0 });
    expect(entry).toHaveLength(metadataEntrySizeBytes);
    expect(uint32At(entry, metadataEntryField.Checksum)).toBe(checksum);
  });

  it('an empty first block has checksum 0xFFFFFFFF', () => {
    expect(uint32At(encodeMetadataBlock(0, [], 4096), metadataHeaderField.Checksum)).toBe(0xffff_ffff);
  });

  it('the second block, 324096 after the first with 58 entries, has checksum 4294966991', () => {
    const entry = { diskOffset: 0, length: 512, timestamp: 0, dataChecksum: 0 };
    const block = encodeMetadataBlock(324_096, Array<typeof entry>(58).fill(entry), 4096);
    expect(uint32At(block, metadataHeaderField.Checksum)).toBe(4_294_966_991);
    expect(uint32At(block, metadataHeaderField.ValidMetadataEntries)).toBe(58);
  });

  it('a block of 4096 bytes holds 127 entries', () => {
    expect(entriesPerBlock(4096)).toBe(127);
  });
});

describe('a log shaped like the published one', () => {
  // 58 writes of 320000 bytes altogether; the same range is written by two of them.
  const lengths = [31_232, 4096, 4096, ...Array<number>(54).fill(4608), 31_744];
  const writes = lengths.map((length, index) => ({
    diskOffset: index === 1 || index === 2 ? 3_626_340_352 : 139_058_688 + index * 65_536,
    data: new Uint8Array(length).fill(index + 1),
    timestamp: fromHrlSeconds(539_842_382),
  }));
  const log = buildHrl(writes, {
    uniqueId: 'e2b1c9d4-0000-4000-8000-00000000000a',
    createdAt: fromHrlSeconds(539_842_300),
  });

  it('ends at 332288 with an empty block at 4096 and one of 58 entries at 328192', async () => {
    const { header, blocks, entries } = await readHrl(memorySource(log));
    expect(header.endOfLogBytes).toBe(332_288);
    expect(blocks).toEqual([
      { offset: 4096, entryCount: 0 },
      { offset: 328_192, entryCount: 58 },
    ]);
    expect(entries.dataOffsets[0]).toBe(8192);
    expect(uint32At(log, 328_192 + metadataHeaderField.Checksum)).toBe(4_294_966_991);
  });

  it('merges overlapping entries to the later one', async () => {
    const { entries } = await readHrl(memorySource(log));
    const plan = planMerge(entries);
    const at = plan.diskOffsets.indexOf(3_626_340_352);
    expect(plan.lengths[at]).toBe(4096);
    expect(log[plan.dataOffsets[at]!]).toBe(3);
    expect(plan.count).toBe(57);
  });
});

describe('layout', () => {
  it('has the fields where the specification has them', () => {
    const log = buildHrl([], {
      uniqueId: '00112233-4455-6677-8899-aabbccddeeff',
      previousUniqueId: 'ffeeddcc-bbaa-9988-7766-554433221100',
      vhd2DataWriteGuid: '01234567-89ab-cdef-0123-456789abcdef',
      createdAt: new Date('2000-01-01T00:01:00Z'),
    });
    const hex = (offset: number, length: number): string =>
      Buffer.from(log).toString('hex', offset, offset + length);
    expect(Buffer.from(log).toString('latin1', 0, 8)).toBe('msctlog ');
    expect(hex(8, 4)).toBe('00000200');
    expect(hex(12, 4)).toBe('3c000000');
    expect(Buffer.from(log).toString('latin1', 16, 20)).toBe('ct  ');
    expect(hex(24, 8)).toBe('0020000000000000');
    expect(hex(32, 8)).toBe('0020000000000000');
    expect(hex(44, 8)).toBe('0020000000000000');
    expect(hex(56, 4)).toBe('00100000');
    expect(hex(60, 16)).toBe('33221100554477668899aabbccddeeff');
    expect(hex(76, 16)).toBe('ccddeeffaabb88997766554433221100');
    expect(hex(96, 8)).toBe('0000000000000000');
    expect(hex(110, 16)).toBe('67452301ab89efcd0123456789abcdef');
    expect(uint32At(log, headerField.Checksum)).toBe(checksumOf(log.subarray(0, 4096), 40));
    expect(log).toHaveLength(8192);
  });

  it('GUIDs and times survive the round trip, and others are refused', () => {
    const guid = '8c4b2d10-77aa-4e0f-9c31-0123456789ab';
    expect(formatGuid(parseGuid(guid.toUpperCase()))).toBe(guid);
    expect(() => parseGuid('{8c4b2d10-77aa-4e0f-9c31-0123456789ab}')).toThrow(RangeError);
    expect(toHrlSeconds(new Date('2000-01-01T00:00:07.900Z'))).toBe(7);
    expect(() => toHrlSeconds(new Date('1999-12-31T23:59:59Z'))).toThrow(RangeError);
    expect(() => toHrlSeconds(new Date(Number.NaN))).toThrow(RangeError);
  });

  it('the checksum skips its own field and counts the rest', () => {
    const bytes = Uint8Array.of(1, 2, 3, 4, 255, 255, 255, 255, 5);
    expect(checksumOf(bytes, 4)).toBe(~(1 + 2 + 3 + 4 + 5) >>> 0);
    expect(checksumOf(bytes)).toBe(~(1 + 2 + 3 + 4 + 5 + 4 * 255) >>> 0);
  });

  it('the byte sum is that of a plain loop, wherever the bytes begin and however many they are', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.nat(9),
        fc.oneof(fc.nat(300), fc.nat(5000)),
        fc.nat(0xffff_ffff),
        (pattern, start, length, sum) => {
          const bytes = Uint8Array.from({ length: start + length }, (_, index) => pattern[index % 16]!);
          const part = bytes.subarray(start);
          const plain = part.reduce((total, byte) => total + byte, sum) % 2 ** 32;
          expect(addByteSum(part, sum)).toBe(plain);
          // The largest sum that a lane has to hold.
          expect(addByteSum(part.fill(255), 0)).toBe(255 * length);
        },
      ),
    );
  });
});
