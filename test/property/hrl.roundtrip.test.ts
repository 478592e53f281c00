// Writer and reader are inverse: what was appended is what is read, whatever the options.
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { memorySource } from '../../lib/disk/source.ts';
import { fromHrlSeconds } from '../../lib/hrl/format.ts';
import { verifyHrl } from '../../lib/hrl/verify.ts';
import { buildHrl, HrlWriter } from '../../lib/hrl/writer.ts';
import { arbitraryOptions, arbitraryWrite, diskSizeBytes } from '../merge/arbitraryWrites.ts';

const arbitraryTimedWrites = fc.array(
  fc.record({ write: arbitraryWrite, seconds: fc.integer({ min: 0, max: 0xffff_ffff }) }),
  { maxLength: 150 },
);

it('reading a built log gives back every write, its time and the header', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryTimedWrites, arbitraryOptions, async (timed, options) => {
      const writes = timed.map(({ write, seconds }) => ({ ...write, timestamp: fromHrlSeconds(seconds) }));
      const bytes = buildHrl(writes, options);
      const { log, dataBytes } = await verifyHrl(memorySource(bytes), { diskSizeBytes });
      expect(log.header).toMatchObject({
        version: 2,
        uniqueId: options.uniqueId,
        previousUniqueId: options.previousUniqueId,
        vhd2DataWriteGuid: options.vhd2DataWriteGuid,
        createdAt: options.createdAt,
        endOfLogBytes: bytes.length,
        currentSizeBytes: bytes.length,
        totalMetadataEntries: writes.length,
      });
      writes.forEach((write, index) => {
        const from = log.entries.dataOffsets[index]!;
        expect(log.entries.diskOffsets[index]).toBe(write.diskOffset);
        expect(fromHrlSeconds(log.entries.timestamps[index]!)).toEqual(write.timestamp);
        const data = bytes.subarray(from, from + log.entries.lengths[index]!);
        expect(Buffer.compare(data, write.data), `data of entry ${index}`).toBe(0);
      });
      expect(dataBytes).toBe(writes.reduce((sum, { data }) => sum + data.length, 0));
      expect(log.blocks.reduce((sum, { entryCount }) => sum + entryCount, 0)).toBe(writes.length);
    }),
    { numRuns: 60 },
  );
});

it('the streaming writer makes the same file, front to back, with one rewrite of the header', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryTimedWrites, arbitraryOptions, async (timed, options) => {
      const file: number[] = [];
      let rewrites = 0;
      const sink = {
        write: async (offsetBytes: number, data: Uint8Array) => {
          if (offsetBytes === file.length) for (const byte of data) file.push(byte);
          else {
            expect([offsetBytes, data.length]).toEqual([0, 4096]);
            file.splice(0, 4096, ...data);
            rewrites++;
          }
        },
      };
      const writer = await HrlWriter.open(sink, options);
      const writes = timed.slice(0, 20).map(({ write }) => write);
      for (const write of writes) await writer.append(write);
      const promised = { sizeBytes: writer.sizeBytes, entryCount: writer.entryCount };
      await writer.close();
      expect(Buffer.compare(Buffer.from(file), buildHrl(writes, options))).toBe(0);
      expect(promised).toEqual({ sizeBytes: file.length, entryCount: writes.length });
      expect(rewrites).toBe(1);
    }),
    { numRuns: 30 },
  );
});
