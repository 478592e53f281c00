// Reading several logs as one: what must follow what, and which log an error is about.
import { describe, expect, it } from 'vitest';
import { concatenatedSource } from '../../../lib/disk/concatenated.ts';
import { memorySource } from '../../../lib/disk/source.ts';
import { closedHeaderOf } from '../../../lib/hrl/newHeader.ts';
import { nilGuid } from '../../../lib/hrl/format.ts';
import { buildHrl, type HrlWriterOptions } from '../../../lib/hrl/writer.ts';
import { mergedHeader, readLogChain, type ChainExpectations } from '../../../lib/merge/logChain.ts';
import { sampleLog } from './brokenLog.ts';

const a = 'aaaaaaaa-0000-4000-8000-000000000001';
const b = 'bbbbbbbb-0000-4000-8000-000000000002';
const c = 'cccccccc-0000-4000-8000-000000000003';

const chain = (logs: Record<string, Uint8Array>, expectations: ChainExpectations = {}) =>
  readLogChain(
    Object.entries(logs).map(([name, bytes]) => ({ name, source: memorySource(bytes) })),
    expectations,
  );

const log = (uniqueId: string, previousUniqueId: string) => sampleLog({ uniqueId, previousUniqueId });

describe('readLogChain', () => {
  it('joins the writes; their data lies in the files end to end', async () => {
    const logs = { 'a.hrl': log(a, nilGuid), 'b.hrl': log(b, a) };
    const { entries, source, headers } = await chain(logs);
    expect([...entries.diskOffsets]).toEqual([4096, 65_536, 4096, 65_536]);
    expect(headers.map(({ uniqueId }) => uniqueId)).toEqual([a, b]);
    const last = await source.read(entries.dataOffsets[3]!, entries.lengths[3]!);
    expect(Buffer.from(last).equals(Buffer.alloc(512, 9))).toBe(true);
  });

  it.each([
    [
      'a log that is missing between two',
      { 'a.hrl': log(a, nilGuid), 'c.hrl': log(c, b) },
      'c.hrl',
      'LogChainBroken',
    ],
    ['the wrong order', { 'b.hrl': log(b, a), 'a.hrl': log(a, c) }, 'a.hrl', 'LogChainBroken'],
    [
      'the same log twice',
      { 'a.hrl': log(a, nilGuid), 'copy.hrl': log(a, nilGuid) },
      'copy.hrl',
      'LogChainBroken',
    ],
    [
      'a log after the one that follows it, also where it starts the chain',
      { 'b.hrl': log(b, a), 'a.hrl': log(a, nilGuid) },
      'a.hrl',
      'LogChainBroken',
    ],
    [
      'a log again after another chain began',
      { 'a.hrl': log(a, nilGuid), 'c.hrl': log(c, nilGuid), 'copy.hrl': log(a, nilGuid) },
      'copy.hrl',
      'LogChainBroken',
    ],
    [
      'a damaged one',
      { 'a.hrl': log(a, nilGuid), 'b.hrl': log(b, a).fill(1, 30, 31) },
      'b.hrl',
      'LogHeaderCorrupt',
    ],
  ])('refuses %s, and names the file', async (_what, logs, file, code) => {
    await expect(chain(logs)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(new RegExp(`^${file}: log header at `)) as string,
    });
  });

  it('holds the first log against what came before, and every write against the disk', async () => {
    const logs = { 'b.hrl': log(b, a) };
    await expect(chain(logs, { previousUniqueId: c })).rejects.toMatchObject({ code: 'LogChainBroken' });
    await expect(chain(logs, { diskSizeBytes: 65_536 })).rejects.toMatchObject({
      code: 'LogEntryOutOfBounds',
    });
    await expect(chain(logs, { previousUniqueId: a, diskSizeBytes: 2 ** 20 })).resolves.toBeDefined();
    const around = { 'b.hrl': log(b, a), 'a.hrl': log(a, nilGuid) };
    await expect(chain(around, { previousUniqueId: a.toUpperCase() })).rejects.toMatchObject({
      code: 'LogChainBroken',
      field: 'UniqueId',
    });
  });

  it('takes as expectation only what the logs can say: nothing was before, or the order is the caller’s', async () => {
    const chains = { 'a.hrl': log(a, nilGuid), 'c.hrl': log(c, nilGuid), 'b.hrl': log(b, nilGuid) };
    const { headers } = await chain(chains, { previousUniqueId: nilGuid });
    expect(headers.map(({ uniqueId }) => uniqueId)).toEqual([a, c, b]);
  });

  it('a log that starts a chain may follow any log', async () => {
    await expect(chain({ 'a.hrl': log(a, b), 'c.hrl': log(c, nilGuid) })).resolves.toBeDefined();
  });

  it('refuses more writes than one log may have, all together', async () => {
    const logs = { 'a.hrl': log(a, nilGuid), 'b.hrl': log(b, a) };
    await expect(chain(logs, { maxEntryCount: 4 })).resolves.toBeDefined();
    const refusal = {
      code: 'LogTooLarge',
      expected: 'at most 3 in all logs together (merge fewer)',
      found: 4,
    };
    await expect(chain(logs, { maxEntryCount: 3 })).rejects.toMatchObject(refusal);
  });

  it('stops at an interrupt', async () => {
    await expect(chain({ 'a.hrl': log(a, b) }, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/);
  });
});

it('the merged header takes the place of the chain', async () => {
  const dataWriteGuid = 'dddddddd-0000-4000-8000-000000000004';
  const first = sampleLog({ uniqueId: a, previousUniqueId: c, createdAt: new Date('2026-05-01T10:00:00Z') });
  const createdAt = new Date('2026-05-01T10:05:00Z');
  const second = sampleLog({ uniqueId: b, previousUniqueId: a, createdAt, vhd2DataWriteGuid: dataWriteGuid });
  expect(mergedHeader(await chain({ first, second }))).toEqual({
    options: {
      uniqueId: b,
      previousUniqueId: c,
      createdAt: new Date('2026-05-01T10:00:00Z'),
      vhd2DataWriteGuid: dataWriteGuid,
    },
    lastModifiedAt: createdAt,
  });
});

describe('closedHeaderOf', () => {
  const options = (more: Partial<HrlWriterOptions>): HrlWriterOptions => {
    return { uniqueId: a, createdAt: new Date('2026-05-01T10:00:00Z'), metadataSizeBytes: 512, ...more };
  };
  it.each([
    [0, true],
    [0, false],
    [1, false],
    [15, true],
    [15, false],
    [16, true],
    [31, false],
  ])(
    'is the header of the finished log of %i writes, with an empty first block: %s',
    (entryCount, emptyFirstBlock) => {
      const writes = Array.from({ length: entryCount }, (_unused, index) => {
        return { diskOffset: index * 4096, data: new Uint8Array(512) };
      });
      const log = buildHrl(writes, options({ emptyFirstBlock }));
      const expected = closedHeaderOf(options({ emptyFirstBlock }), {
        entryCount,
        dataBytes: entryCount * 512,
      });
      expect(Buffer.compare(log.subarray(0, 4096), expected)).toBe(0);
    },
  );
});

it('sources end to end are read across their borders, and not past the end', async () => {
  const parts = [[1, 2, 3], [], [4], [5, 6]].map((bytes) => memorySource(Uint8Array.from(bytes)));
  const source = concatenatedSource(parts);
  expect(source.sizeBytes).toBe(6);
  for (let from = 0; from <= 6; from++) {
    for (let to = from; to <= 6; to++)
      expect([...(await source.read(from, to - from))]).toEqual([1, 2, 3, 4, 5, 6].slice(from, to));
  }
  await expect(source.read(5, 2)).rejects.toThrow(RangeError);
  await expect(source.read(-1, 2)).rejects.toThrow(RangeError);
});
