// Small logs for the tests, and ways to break one field of them while everything else, checksums included, stays
// right: what a test changes is the only thing that is wrong.
import { checksumOf } from '../../../lib/hrl/format.ts';
import { buildHrl, type HrlWrite, type HrlWriterOptions } from '../../../lib/hrl/writer.ts';

export const uniqueId = 'aaaaaaaa-1111-2222-3333-bbbbbbbbbbbb';
const previousUniqueId = 'cccccccc-4444-5555-6666-dddddddddddd';
export const createdAt = new Date('2026-05-01T10:00:00Z');

/** Where things are in the log that `sampleLog` builds. */
export const sample = {
  diskSizeBytes: 1024 * 1024,
  firstBlock: 4096,
  data: 8192,
  secondBlock: 8192 + 3 * 512,
  entry: (slot: number): number => 8192 + 3 * 512 + 32 + 32 * slot,
  sizeBytes: 8192 + 3 * 512 + 4096,
};

/** Two writes, of 1024 and 512 bytes, behind the empty first block. */
export function sampleLog(options: Partial<HrlWriterOptions> = {}): Buffer {
  const writes: HrlWrite[] = [
    { diskOffset: 4096, data: new Uint8Array(1024).fill(7) },
    { diskOffset: 65_536, data: new Uint8Array(512).fill(9) },
  ];
  return Buffer.from(buildHrl(writes, { uniqueId, previousUniqueId, createdAt, ...options }));
}

/** Changes the log in place, then makes the checksums of the header, of both blocks and of both entries right again. */
export function reseal(log: Buffer, change: (log: Buffer) => unknown): Buffer {
  change(log);
  const structures: [offset: number, length: number, checksumField: number][] = [
    [0, 4096, 40],
    [sample.firstBlock, 32, 12],
    [sample.secondBlock, 32, 12],
    [sample.entry(0), 32, 8],
    [sample.entry(1), 32, 8],
  ];
  for (const [offset, length, field] of structures) {
    log.writeUInt32LE(checksumOf(log.subarray(offset, offset + length), field), offset + field);
  }
  return log;
}
