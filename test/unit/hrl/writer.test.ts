// The writer's states and refusals; what it writes is held against the reader in test/property.
import { describe, expect, it } from 'vitest';
import { memorySource } from '../../../lib/disk/source.ts';
import { checksumOf } from '../../../lib/hrl/format.ts';
import { readHrl } from '../../../lib/hrl/reader.ts';
import { buildHrl, HrlWriter } from '../../../lib/hrl/writer.ts';
import { createdAt, uniqueId } from './brokenLog.ts';

const options = { uniqueId, createdAt };

/** A sink into memory whose writes can be made to fail. */
function memorySink() {
  const sink = {
    bytes: Buffer.alloc(0),
    failure: undefined as Error | undefined,
    write: async (offsetBytes: number, data: Uint8Array): Promise<void> => {
      if (sink.failure !== undefined) throw sink.failure;
      const end = offsetBytes + data.length;
      if (end > sink.bytes.length) sink.bytes = Buffer.concat([sink.bytes], end);
      sink.bytes.set(data, offsetBytes);
    },
  };
  return sink;
}

const write = { diskOffset: 512, data: new Uint8Array(512).fill(1) };

describe('HrlWriter', () => {
  it('leaves a log that is refused as not closed until it is closed', async () => {
    const sink = memorySink();
    const writer = await HrlWriter.open(sink, options);
    await writer.append(write);
    await expect(readHrl(memorySource(sink.bytes))).rejects.toMatchObject({ code: 'LogNotClosed' });
    await writer.close();
    expect((await readHrl(memorySource(sink.bytes))).entries.count).toBe(1);
  });

  it('takes nothing more once closed', async () => {
    const writer = await HrlWriter.open(memorySink(), options);
    await writer.close();
    await expect(writer.append(write)).rejects.toThrow(/it is closed/);
    await expect(writer.close()).rejects.toThrow(/it is closed/);
  });

  it('cannot be closed into a valid log after its sink failed', async () => {
    const sink = memorySink();
    const writer = await HrlWriter.open(sink, options);
    sink.failure = new Error('disk full');
    await expect(writer.append(write)).rejects.toThrow('disk full');
    sink.failure = undefined;
    await expect(writer.close()).rejects.toThrow(/it is failed/);
    await expect(readHrl(memorySource(sink.bytes))).rejects.toMatchObject({ code: 'LogNotClosed' });
  });

  it.each([{}, { withDataChecksums: true }])('reads what is unread, into any sink: %j', async (more) => {
    const disk = new Uint8Array(4096).map((_, index) => index % 251);
    const writes = [512, 2048].map((diskOffset) => ({
      ...{ diskOffset, lengthBytes: 1024 },
      source: {
        readInto: async (at: number, target: Uint8Array) => target.set(disk.subarray(at, at + 1024)),
      },
    }));
    const sink = memorySink();
    const writer = await HrlWriter.open(sink, { ...options, ...more });
    await writer.appendUnread(writes);
    await writer.close();
    const read = writes.map(({ diskOffset }) => ({
      diskOffset,
      data: disk.subarray(diskOffset, diskOffset + 1024),
    }));
    expect(sink.bytes.equals(buildHrl(read, { ...options, ...more }))).toBe(true);
  });

  it('cannot be closed into a valid log after a read failed', async () => {
    const sink = memorySink();
    const writer = await HrlWriter.open(sink, options);
    const readInto = () => Promise.reject(new Error('the disk is broken'));
    const writes = [{ diskOffset: 0, lengthBytes: 512, source: { readInto } }];
    await expect(writer.appendUnread(writes)).rejects.toThrow('the disk is broken');
    await expect(writer.close()).rejects.toThrow(/it is failed/);
    await expect(readHrl(memorySource(sink.bytes))).rejects.toMatchObject({ code: 'LogNotClosed' });
  });

  it('refuses two calls at once', async () => {
    const writer = await HrlWriter.open(memorySink(), options);
    const first = writer.append(write);
    await expect(writer.append(write)).rejects.toThrow(/it is busy/);
    await first;
  });

  it.each([
    ['ByteOffset', { diskOffset: 100, data: new Uint8Array(512) }],
    ['ByteOffset', { diskOffset: -512, data: new Uint8Array(512) }],
    ['DataLength', { diskOffset: 0, data: new Uint8Array(700) }],
  ])('refuses an unaligned %s and stays usable', async (field, unaligned) => {
    const sink = memorySink();
    const writer = await HrlWriter.open(sink, options);
    await expect(writer.append(unaligned)).rejects.toMatchObject({ code: 'LogEntryUnaligned', field });
    await writer.append(write);
    await writer.close();
    expect(sink.bytes.equals(buildHrl([write], options))).toBe(true);
  });

  it('refuses an empty write, and options that no log can have', async () => {
    const writer = await HrlWriter.open(memorySink(), options);
    await expect(writer.append({ diskOffset: 0, data: new Uint8Array(0) })).rejects.toThrow(RangeError);
    const open = (change: object) => HrlWriter.open(memorySink(), { ...options, ...change });
    await expect(open({ metadataSizeBytes: 4000 })).rejects.toThrow(/metadataSizeBytes/);
    await expect(open({ metadataSizeBytes: 0 })).rejects.toThrow(/metadataSizeBytes/);
    await expect(open({ uniqueId: 'log-1' })).rejects.toThrow(/not a GUID/);
    await expect(open({ createdAt: new Date('1999-01-01') })).rejects.toThrow(/2000 to 2136/);
  });
});

describe('blocks', () => {
  it('a log without writes has one block, with or without the empty first one', async () => {
    for (const emptyFirstBlock of [true, false]) {
      const log = buildHrl([], { ...options, emptyFirstBlock });
      expect(log).toHaveLength(8192);
      expect((await readHrl(memorySource(log))).blocks).toEqual([{ offset: 4096, entryCount: 0 }]);
    }
  });

  it('a full block is ended, and none follows when no write does', async () => {
    const writes = Array<typeof write>(254).fill(write);
    const { blocks } = await readHrl(memorySource(buildHrl(writes, options)));
    expect(blocks.map(({ entryCount }) => entryCount)).toEqual([0, 127, 127]);
  });

  it('are read a few requests at a time when they are dense, and alone when data lies between them', async () => {
    const readsOf = async (
      data: Uint8Array,
    ): Promise<{ requests: number; bytes: number; sizeBytes: number }> => {
      const log = buildHrl(
        Array.from({ length: 127 * 20 }, () => ({ diskOffset: 0, data })),
        options,
      );
      const memory = memorySource(log);
      const reads: number[] = [];
      await readHrl({
        sizeBytes: log.length,
        read: (offsetBytes, lengthBytes) => {
          reads.push(lengthBytes);
          return memory.read(offsetBytes, lengthBytes);
        },
      });
      return {
        requests: reads.length,
        bytes: reads.reduce((sum, length) => sum + length, 0),
        sizeBytes: log.length,
      };
    };
    const dense = await readsOf(new Uint8Array(512));
    expect(dense.requests).toBeLessThanOrEqual(6);
    const sparse = await readsOf(new Uint8Array(8192));
    expect(sparse.bytes).toBeLessThan(sparse.sizeBytes / 100);
  });
});

describe('a log as large as readers take', () => {
  const limited = { ...options, maxEntryCount: 2 };

  it('takes no more writes, and is valid with those that it has', async () => {
    expect(() => buildHrl([write, write, write], limited)).toThrow(
      expect.objectContaining({ code: 'LogTooLarge', expected: 'at most 2', found: 3 }) as Error,
    );
    const { entries } = await readHrl(memorySource(buildHrl([write, write], limited)));
    expect(entries.count).toBe(2);
  });

  it('has at most 1 Mi blocks: the reader stops there, having read a part of the file', async () => {
    const blocks = 1024 * 1024 + 2;
    const empty = buildHrl([], { uniqueId, createdAt, metadataSizeBytes: 512, emptyFirstBlock: false });
    const header = Buffer.from(empty.subarray(0, 4096));
    const sizeBytes = 4096 + blocks * 512;
    header.writeBigUInt64LE(BigInt(sizeBytes), 44);
    header.writeUInt32LE(checksumOf(header, 40), 40);
    const block = Buffer.alloc(512);
    block.writeBigUInt64LE(512n, 0);
    block.writeUInt32LE(checksumOf(block.subarray(0, 32), 12), 12);
    const manyBlocks = Buffer.alloc(2 * 1024 * 1024, block);
    const source = {
      sizeBytes,
      // Every block is the same one; the file is never as a whole in memory.
      read: async (offsetBytes: number, lengthBytes: number) =>
        offsetBytes === 0 ? header : manyBlocks.subarray(0, lengthBytes),
    };
    await expect(readHrl(source)).rejects.toMatchObject({ code: 'LogTooLarge', field: 'number of blocks' });
  });
});
