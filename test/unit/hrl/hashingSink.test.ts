// The digest that is taken while a log is written is that of the file, or there is none.
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DigestThread } from '../../../agent/digestThread.ts';
import { HashingSink } from '../../../agent/hashingSink.ts';
import { startDigest, type StreamDigest } from '../../../agent/streamDigest.ts';
import { closedHeaderOf } from '../../../lib/hrl/newHeader.ts';
import { buildHrl, HrlWriter, type HrlSink, type HrlTotals, type HrlWrite } from '../../../lib/hrl/writer.ts';

const options = {
  uniqueId: 'aaaaaaaa-0000-4000-8000-000000000001',
  createdAt: new Date('2026-05-01T10:00:00Z'),
};
const mib = 1024 * 1024;

/** A file that takes its data late, as a real one does: a buffer that is reused too early shows. */
function slowFile(): { sink: HrlSink; bytes: () => Buffer } {
  let file = Buffer.alloc(0);
  const sink: HrlSink = {
    async write(offsetBytes, data) {
      await new Promise((resolve) => setImmediate(resolve));
      if (file.length < offsetBytes + data.length)
        file = Buffer.concat([file, Buffer.alloc(offsetBytes + data.length - file.length)]);
      file.set(data, offsetBytes);
    },
  };
  return { sink, bytes: () => file };
}

const totalsOf = (writes: readonly HrlWrite[]): HrlTotals => ({
  entryCount: writes.length,
  dataBytes: writes.reduce((sum, { data }) => sum + data.length, 0),
});

/** Writes the log through a HashingSink with one buffer that is reused for every write. */
async function written(
  writes: readonly HrlWrite[],
  expected: HrlTotals | undefined,
  makeDigest: () => StreamDigest = () => startDigest(0),
) {
  const { sink: inner, bytes } = slowFile();
  await using digest = makeDigest();
  const sink = new HashingSink(inner, expected && { header: closedHeaderOf(options, expected), digest });
  const writer = await HrlWriter.open(sink, options);
  const reused = new Uint8Array(Math.max(0, ...writes.map(({ data }) => data.length)));
  for (const { diskOffset, data } of writes) {
    reused.set(data);
    await writer.append({ diskOffset, data: reused.subarray(0, data.length) });
    reused.fill(0xee);
  }
  await writer.close();
  return { bytes: bytes(), sha256: await sink.takeSha256() };
}

const arbitrarySizedWrites = fc.array(
  fc.record({ sectors: fc.constantFrom(1, 8, 511, 512, 513, 2047, 2048, 2049), value: fc.nat(255) }),
  { maxLength: 12 },
);

describe('HashingSink', () => {
  it('writes the same file and gives its digest, whatever the sizes of the writes', async () => {
    await fc.assert(
      fc.asyncProperty(arbitrarySizedWrites, async (sizes) => {
        const writes = sizes.map(({ sectors, value }, index) => {
          return { diskOffset: index * 4 * mib, data: new Uint8Array(sectors * 512).fill(value) };
        });
        const { bytes, sha256 } = await written(writes, totalsOf(writes));
        expect(Buffer.compare(bytes, buildHrl(writes, options))).toBe(0);
        expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
      }),
      { numRuns: 40 },
    );
  });

  it('gives the same digest on a thread of its own, for more data than the buffers hold', async () => {
    const writes = Array.from({ length: 5 }, (_, index) => {
      return { diskOffset: index * 4 * mib, data: new Uint8Array(4 * mib - 512).fill(index + 1) };
    });
    // The second one gets the thread of the first.
    for (let round = 0; round < 2; round++) {
      const { bytes, sha256 } = await written(writes, totalsOf(writes), () => startDigest(1024 * mib));
      expect(Buffer.compare(bytes, buildHrl(writes, options))).toBe(0);
      expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    }
  });

  it('a digest that was not ended leaves nothing to the next one', async () => {
    const bytes = new Uint8Array(new SharedArrayBuffer(512));
    for (let round = 0; round < 2; round++) {
      await using digest = startDigest(1024 * mib);
      await digest.update(bytes);
    }
    await using digest = startDigest(1024 * mib);
    await digest.update(bytes);
    expect(await digest.digest()).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  it('a thread that ends early is an error, not a digest, and the log is not closed', async () => {
    const { sink: inner, bytes } = slowFile();
    const thread = new DigestThread();
    const digest = {
      ...startDigest(0),
      update: (data: Uint8Array<SharedArrayBuffer>) => thread.update(data),
    };
    const header = closedHeaderOf(options, { entryCount: 1, dataBytes: 4 * mib });
    const writer = await HrlWriter.open(new HashingSink(inner, { header, digest }), options);
    await thread.end();
    const append = async (): Promise<void> => {
      await writer.append({ diskOffset: 0, data: new Uint8Array(4 * mib) });
      await writer.close();
    };
    await expect(append()).rejects.toThrow('has ended');
    expect(bytes().readBigUInt64LE(44)).toBe(0n);
  });

  it('gives no digest when the log became another than expected, or nothing was expected', async () => {
    const writes = [{ diskOffset: 0, data: new Uint8Array(512) }];
    expect((await written(writes, { entryCount: 2, dataBytes: 512 })).sha256).toBeUndefined();
    expect((await written(writes, { entryCount: 1, dataBytes: 1024 })).sha256).toBeUndefined();
    expect((await written(writes, undefined)).sha256).toBeUndefined();
    expect((await written(writes, totalsOf(writes))).sha256).toBeDefined();
  });

  it('a write that fails is thrown by a later call, and the log is not closed', async () => {
    const file = slowFile();
    let calls = 0;
    const failing: HrlSink = {
      async write(offsetBytes, data) {
        if (++calls === 2) throw new Error('no space');
        await file.sink.write(offsetBytes, data);
      },
    };
    const writer = await HrlWriter.open(new HashingSink(failing, undefined), options);
    const append = async (): Promise<void> => {
      for (let index = 0; index < 3; index++)
        await writer.append({ diskOffset: index * mib, data: new Uint8Array(mib) });
      await writer.close();
    };
    await expect(append()).rejects.toThrow('no space');
    expect(file.bytes().readBigUInt64LE(44)).toBe(0n);
  });
});
