// One broken field at a time: the reader names the kind of refusal, the field, and the byte in the file.
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../../lib/disk/source.ts';
import { LifeboatError } from '../../../lib/errors.ts';
import { HrlError } from '../../../lib/hrl/errors.ts';
import { readHrl, readHrlHeader } from '../../../lib/hrl/reader.ts';
import { verifyHrl, type HrlExpectations } from '../../../lib/hrl/verify.ts';
import { reseal, sample, sampleLog, uniqueId } from './brokenLog.ts';

type Break = (log: Buffer) => unknown;

const { firstBlock, secondBlock, entry } = sample;

// Everything else in the file is right, so the code and the field are the only possible answer.
const structureCases: [code: string, field: string, offsetBytes: number, what: string, breakIt: Break][] = [
  ['LogNotHrl', 'Cookie', 0, 'another cookie', (log) => log.write('MSCTLOG ')],
  ['LogNotHrl', 'Cookie', 0, 'a cookie that goes on', (log) => log.write('msctlogs')],
  ['LogVersionUnsupported', 'LogFormatVersion', 8, 'version 3', (log) => log.writeUInt32LE(0x30000, 8)],
  ['LogVersionUnsupported', 'LogFormatVersion', 8, 'version 0', (log) => log.writeUInt32LE(0, 8)],
  [
    'LogHeaderCorrupt',
    'OriginalSize',
    24,
    'an original size beyond 2^53',
    (log) => log.writeBigUInt64LE(2n ** 60n, 24),
  ],
  [
    'LogHeaderCorrupt',
    'CurrentSize',
    32,
    'a current size beyond 2^53',
    (log) => log.writeBigUInt64LE(2n ** 60n, 32),
  ],
  ['LogNotClosed', 'EOLLocation', 44, 'no end', (log) => log.writeBigUInt64LE(0n, 44)],
  ['LogHeaderCorrupt', 'EOLLocation', 44, 'an end beyond 2^53', (log) => log.writeBigUInt64LE(2n ** 63n, 44)],
  [
    'LogTruncated',
    'EOLLocation',
    44,
    'an end after the file',
    (log) => log.writeBigUInt64LE(BigInt(log.length) + 512n, 44),
  ],
  [
    'LogHeaderCorrupt',
    'EOLLocation',
    44,
    'an end inside the first block',
    (log) => log.writeBigUInt64LE(8191n, 44),
  ],
  ['LogHeaderCorrupt', 'MetadataSize', 56, 'no metadata size', (log) => log.writeUInt32LE(0, 56)],
  ['LogHeaderCorrupt', 'MetadataSize', 56, 'an odd metadata size', (log) => log.writeUInt32LE(4097, 56)],
  [
    'LogHeaderCorrupt',
    'MetadataSize',
    56,
    'a huge metadata size',
    (log) => log.writeUInt32LE(16 * 1024 * 1024 + 512, 56),
  ],
  [
    'LogHeaderCorrupt',
    'TotalMetadataEntries',
    96,
    'more entries than fit',
    (log) => log.writeBigUInt64LE(18n, 96),
  ],
  [
    'LogHeaderCorrupt',
    'TotalMetadataEntries',
    96,
    'entries beyond 2^53',
    (log) => log.writeBigUInt64LE(2n ** 54n, 96),
  ],
  [
    'LogMetadataCorrupt',
    'TotalMetadataEntries',
    96,
    'one entry too many',
    (log) => log.writeBigUInt64LE(3n, 96),
  ],
  [
    'LogMetadataCorrupt',
    'TotalMetadataEntries',
    96,
    'one entry too few',
    (log) => log.writeBigUInt64LE(1n, 96),
  ],
  ['LogHeaderCorrupt', 'FileType', 104, 'another file type', (log) => log.writeUInt32LE(1, 104)],
  ['LogHeaderCorrupt', 'Flags', 108, 'an unknown flag', (log) => log.writeUInt16LE(1, 108)],
  [
    'LogMetadataCorrupt',
    'PreviousMetadataLocation',
    secondBlock,
    'a block that is its own predecessor and more',
    (log) => log.writeBigUInt64LE(1n, secondBlock),
  ],
  [
    'LogMetadataCorrupt',
    'PreviousMetadataLocation',
    secondBlock,
    'a predecessor inside the header',
    (log) => log.writeBigUInt64LE(BigInt(secondBlock - 4095), secondBlock),
  ],
  [
    'LogMetadataCorrupt',
    'PreviousMetadataLocation',
    secondBlock,
    'a distance beyond 2^53',
    (log) => log.writeBigUInt64LE(2n ** 55n, secondBlock),
  ],
  [
    'LogMetadataCorrupt',
    'sum of DataLength',
    secondBlock,
    'no predecessor',
    (log) => log.writeBigUInt64LE(0n, secondBlock),
  ],
  [
    'LogMetadataCorrupt',
    'ValidMetadataEntries',
    secondBlock + 8,
    'more entries than slots',
    (log) => log.writeUInt32LE(128, secondBlock + 8),
  ],
  [
    'LogMetadataCorrupt',
    'sum of DataLength',
    secondBlock,
    'data that is too long',
    (log) => log.writeUInt32LE(2048, entry(0) + 12),
  ],
  [
    'LogMetadataCorrupt',
    'PreviousMetadataLocation',
    firstBlock,
    'a first block with a predecessor',
    (log) => log.writeBigUInt64LE(4096n, firstBlock),
  ],
  [
    'LogEntryCorrupt',
    'DataLength',
    entry(0) + 12,
    'an empty write',
    (log) => log.writeUInt32LE(0, entry(0) + 12),
  ],
  [
    'LogEntryUnaligned',
    'DataLength',
    entry(1) + 12,
    'half a sector',
    (log) => log.writeUInt32LE(256, entry(1) + 12),
  ],
  [
    'LogEntryUnaligned',
    'ByteOffset',
    entry(0),
    'an offset between sectors',
    (log) => log.writeBigUInt64LE(4097n, entry(0)),
  ],
  [
    'LogEntryCorrupt',
    'ByteOffset',
    entry(1),
    'an offset beyond 2^53',
    (log) => log.writeBigUInt64LE(2n ** 53n, entry(1)),
  ],
  [
    'LogEntryCorrupt',
    'MetaOperation',
    entry(1) + 20,
    'another operation',
    (log) => log.writeUInt8(2, entry(1) + 20),
  ],
];

describe('structure', () => {
  it.each(structureCases)('%s for field %s at %i: %s', async (code, field, offsetBytes, _what, breakIt) => {
    const log = reseal(sampleLog(), breakIt);
    const error: unknown = await readHrl(memorySource(log)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(HrlError);
    expect(error).toBeInstanceOf(LifeboatError);
    expect(error).toMatchObject({ code, field, offsetBytes });
  });

  it.each([
    ['LogHeaderCorrupt', 'Checksum', 40, 0],
    ['LogMetadataCorrupt', 'Checksum', secondBlock + 12, secondBlock],
    ['LogEntryCorrupt', 'Checksum', entry(1) + 8, entry(1)],
  ])('%s when %s at %i is wrong', async (code, field, offsetBytes, structureOffset) => {
    const log = sampleLog();
    log[structureOffset + 31]! ^= 1;
    await expect(readHrl(memorySource(log))).rejects.toMatchObject({ code, field, offsetBytes });
  });

  it('says where, what was expected and what was found', async () => {
    const log = sampleLog();
    log.writeUInt32LE(0xdead_beef, 40);
    await expect(readHrl(memorySource(log))).rejects.toThrow(
      /^log header at 40: field Checksum: expected 0x[0-9a-f]{8}, found 0xdeadbeef$/,
    );
  });

  it.each([
    [0, 'LogNotHrl'],
    [7, 'LogNotHrl'],
    [8, 'LogTruncated'],
    [4095, 'LogTruncated'],
    [4096, 'LogTruncated'],
    [sample.sizeBytes - 1, 'LogTruncated'],
  ])('a file cut to %i bytes is %s', async (length, code) => {
    await expect(readHrl(memorySource(sampleLog().subarray(0, length)))).rejects.toMatchObject({ code });
  });

  it('refuses more entries than can be planned before it allocates room for them', async () => {
    const header = Buffer.from(sampleLog().subarray(0, 4096));
    const huge = 2 ** 45;
    header.writeBigUInt64LE(BigInt(huge), 44);
    header.writeBigUInt64LE(2n ** 30n, 96);
    const source = {
      sizeBytes: huge,
      read: async () => reseal(Buffer.concat([header, Buffer.alloc(8192)]), () => 0).subarray(0, 4096),
    };
    await expect(readHrlHeader(source)).rejects.toMatchObject({
      code: 'LogTooLarge',
      field: 'TotalMetadataEntries',
    });
  });
});

describe('what is tolerated', () => {
  it.each<[string, Break]>([
    ['a cookie that ends in NUL', (log) => log.writeUInt8(0, 7)],
    ['any creator', (log) => log.write('wxyz', 16)],
    ['a minor version', (log) => log.writeUInt32LE(0x20001, 8)],
    ['reserved header bytes', (log) => log.writeUInt8(1, 4095)],
    ['reserved bytes of a block', (log) => log.writeUInt8(1, secondBlock + 31)],
    ['a location that a driver left', (log) => log.writeUInt8(3, entry(0) + 25)],
    ['an error code', (log) => log.writeInt32LE(-5, 52)],
    ['anything in unused slots', (log) => log.fill(0xff, entry(2), secondBlock + 4096)],
  ])('%s', async (_what, change) => {
    const { entries } = await readHrl(memorySource(reseal(sampleLog(), change)));
    expect([...entries.diskOffsets]).toEqual([4096, 65_536]);
    expect([...entries.dataOffsets]).toEqual([8192, 9216]);
    expect([...entries.lengths]).toEqual([1024, 512]);
  });

  it('bytes after the end of the log', async () => {
    const log = Buffer.concat([sampleLog(), Buffer.alloc(5000, 0xaa)]);
    expect((await readHrl(memorySource(log))).entries.count).toBe(2);
  });

  it('version 1, which has no Data Write GUID', async () => {
    const log = reseal(sampleLog(), (bytes) => bytes.writeUInt32LE(0x10000, 8));
    const { header } = await readHrl(memorySource(log));
    expect(header.version).toBe(1);
    expect(header.vhd2DataWriteGuid).toBeUndefined();
  });
});

describe('verification', () => {
  const expectations: HrlExpectations = { diskSizeBytes: sample.diskSizeBytes };
  const verify = (log: Buffer, expect: Partial<HrlExpectations> = {}) =>
    verifyHrl(memorySource(log), { ...expectations, ...expect });

  it('returns the digest of the file and the sum of the data', async () => {
    const { sha256, dataBytes } = await verify(sampleLog());
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(dataBytes).toBe(1536);
    await expect(verify(sampleLog(), { sha256: sha256.toUpperCase() })).resolves.toMatchObject({ sha256 });
  });

  it('LogDigestMismatch when one byte of the data is another', async () => {
    const { sha256 } = await verify(sampleLog());
    const log = sampleLog();
    log[sample.data]! ^= 1;
    await expect(verify(log, { sha256 })).rejects.toMatchObject({
      code: 'LogDigestMismatch',
      field: 'sha256',
    });
  });

  it('LogDataCorrupt when the data contradicts its checksum', async () => {
    const log = sampleLog({ withDataChecksums: true });
    await expect(verify(log)).resolves.toMatchObject({ dataBytes: 1536 });
    log[sample.data + 1024 + 511]! ^= 1;
    const fault = { code: 'LogDataCorrupt', field: 'DataChecksum', offsetBytes: sample.data + 1024 };
    await expect(verify(log)).rejects.toMatchObject(fault);
  });

  it('LogEntryOutOfBounds names the entry that ends after the disk', async () => {
    await expect(verify(sampleLog(), { diskSizeBytes: 65_536 + 512 })).resolves.toBeDefined();
    const fault = { code: 'LogEntryOutOfBounds', field: 'ByteOffset', offsetBytes: entry(1) };
    await expect(verify(sampleLog(), { diskSizeBytes: 65_536 })).rejects.toMatchObject(fault);
  });

  it('LogChainBroken when the log follows another one', async () => {
    const fault = { code: 'LogChainBroken', kind: 'divergent', field: 'PreviousUniqueId', offsetBytes: 76 };
    const other = '00000000-0000-4000-8000-000000000001';
    await expect(verify(sampleLog(), { previousUniqueId: other })).rejects.toMatchObject(fault);
  });

  it('LogChainBroken when the log is the one applied last, sent again as a new one', async () => {
    const fault = { code: 'LogChainBroken', field: 'UniqueId', offsetBytes: 60 };
    for (const previousUniqueId of [uniqueId, '00000000-0000-0000-0000-000000000000']) {
      const again = sampleLog({ previousUniqueId });
      await expect(verify(again, { previousUniqueId: uniqueId })).rejects.toMatchObject(fault);
    }
  });

  it('a chain that fits in any case, starts anew, or is not asked for is accepted', async () => {
    const { header } = await readHrl(memorySource(sampleLog()));
    const upper = header.previousUniqueId.toUpperCase();
    await expect(verify(sampleLog(), { previousUniqueId: upper })).resolves.toBeDefined();
    const first = sampleLog({ previousUniqueId: '00000000-0000-0000-0000-000000000000' });
    const other = '00000000-0000-4000-8000-000000000001';
    await expect(verify(first, { previousUniqueId: other })).resolves.toBeDefined();
    await expect(verify(sampleLog())).resolves.toBeDefined();
  });
});
