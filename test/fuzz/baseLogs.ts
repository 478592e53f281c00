// The logs that are mutated: both versions, from nothing to many blocks, small and large metadata blocks, with and
// without checksums of the data, from our writer and from another one. Small first. The disk they belong to is small,
// so that writes overlap and a changed offset often still lies inside it.
import { createHash } from 'node:crypto';
import { hrlEpochSeconds } from '../../lib/hrl/format.ts';
import { buildHrl, type HrlWrite, type HrlWriterOptions } from '../../lib/hrl/writer.ts';
import { independentLog } from '../support/independentHrl.ts';
import { plainChecksum, readPlainly, replayPlainly, type PlainLog } from './plainReader.ts';
import { SeededRandom } from './random.ts';

const sectors = 128;
export const fuzzDiskSizeBytes = sectors * 512;

export interface BaseLog {
  name: string;
  bytes: Buffer;
  layout: PlainLog;
  /** SHA-256 of the file, hex. */
  digest: string;
  /** The disk after the log, applied to `freshDisk()`. */
  effect: Uint8Array;
}

/** The disk before a log: nowhere zero, so that a write of zeros shows. */
export function freshDisk(): Uint8Array {
  return new Uint8Array(fuzzDiskSizeBytes).fill(0xa5);
}

/** Overlapping writes of 1 to `longest` sectors: some zero, the others different in every sector. */
function someWrites(count: number, longest: number, seed: number): HrlWrite[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, (_unused, index) => {
    const length = 1 + random.below(longest);
    const data = new Uint8Array(length * 512);
    for (let sector = 0; sector < length && index % 7 !== 3; sector++)
      data.fill(1 + random.below(255), sector * 512, (sector + 1) * 512);
    return {
      diskOffset: random.below(sectors - length + 1) * 512,
      data,
      timestamp: new Date((hrlEpochSeconds + 830_000_000 + index) * 1000),
    };
  });
}

function ourLog(writes: readonly HrlWrite[], options: Partial<HrlWriterOptions>): Buffer {
  return Buffer.from(
    buildHrl(writes, {
      uniqueId: '5e1f0a77-0000-4000-8000-000000000002',
      previousUniqueId: '5e1f0a77-0000-4000-8000-000000000001',
      createdAt: new Date((hrlEpochSeconds + 830_000_000) * 1000),
      ...options,
    }),
  );
}

/** The same log in version 1, which has no Data Write GUID. */
function asVersion1(log: Buffer): Buffer {
  log.writeUInt32LE(0x10000, 8);
  log.fill(0, 110, 126);
  log.writeUInt32LE(plainChecksum(log, 0, 4096, 40), 40);
  return log;
}

function makeBytes(): Record<string, Buffer> {
  const small = { metadataSizeBytes: 512 };
  const many = someWrites(40, 3, 3);
  const plainWrites = someWrites(20, 2, 6).map(({ diskOffset, data }) => ({ offset: diskOffset, data }));
  return {
    'one block, no write': ourLog([], { ...small, emptyFirstBlock: false }),
    'one write': ourLog(someWrites(1, 1, 1), { ...small, emptyFirstBlock: false }),
    'one write with checksum': ourLog(someWrites(1, 2, 2), { ...small, withDataChecksums: true }),
    'no write, default blocks': ourLog([], {}),
    'version 1, few writes': asVersion1(ourLog(someWrites(5, 2, 4), { metadataSizeBytes: 1024 })),
    'followed by other bytes': Buffer.concat([ourLog(someWrites(6, 2, 5), small), Buffer.alloc(1300, 0x55)]),
    'many blocks': ourLog(many, small),
    'many blocks with checksums': ourLog(many, { ...small, withDataChecksums: true }),
    'version 1, many blocks': asVersion1(ourLog(someWrites(33, 2, 7), small)),
    'by another writer': independentLog(plainWrites, '5e1f0a77-0000-4000-8000-000000000003'),
    'full default blocks': ourLog(someWrites(140, 1, 8), {}),
    'blocks of 64 KiB': ourLog(someWrites(12, 2, 9), { metadataSizeBytes: 65_536, emptyFirstBlock: false }),
  };
}

function makeBaseLog([name, bytes]: [string, Buffer]): BaseLog {
  const layout = readPlainly(bytes, fuzzDiskSizeBytes);
  if (typeof layout === 'string') throw new Error(`The base log "${name}" is not valid: ${layout}`);
  const effect = freshDisk();
  replayPlainly(bytes, layout, effect);
  const digest = createHash('sha256').update(bytes).digest('hex');
  return { name, bytes, layout, digest, effect };
}

/** Never changed by anyone: mutations work on copies. */
export const baseLogs: readonly BaseLog[] = Object.entries(makeBytes()).map(makeBaseLog);
