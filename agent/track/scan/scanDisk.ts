// One pass over a frozen disk: its digests into a new file, and the blocks that are not as the older file says. Reading, the
// digests in their threads, and writing overlap; results are taken in the order of the disk.
import { randomBytes } from 'node:crypto';
import { LifeboatError } from '../../../lib/errors.ts';
import type { ByteRange } from '../../../lib/storage/ports.ts';
import type { DiskReader } from '../../disk/reader.ts';
import { DigestReader, DigestWriter } from './digestFile.ts';
import type { HashPool } from './hashPool.ts';
import {
  coarseBytes,
  fineBytes,
  keyBytes,
  recordBytes,
  stripeBytes,
  type HashedStripe,
} from './hashStripe.ts';
import { StripeScanner } from './stripeScanner.ts';

/** Stripes on their way at once: two for each thread keep it busy while the next are read. */
const stripesAhead = 6;
const allocationWindowBytes = 256 * stripeBytes;

export interface ScanOptions {
  reader: DiskReader;
  pool: HashPool;
  /** Where the digests of this state go. */
  path: string;
  /** Those of the state before, of a disk that had at most this size; without them everything that is not zeros is reported. */
  older?: { path: string; sha256: string; sizeBytes: number } | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((doneBytes: number) => void) | undefined;
}

export interface ScannedDisk {
  /** Of the file of digests. */
  sha256: string;
  /** Whole 4 KiB blocks (the last of a disk may be shorter): ascending, disjoint, joined. */
  extents: ByteRange[];
  /** What was read; the rest is known to be zeros. */
  bytesRead: number;
}

/** True for stripes that surely are zeros, by the number of the stripe. */
async function* holes(reader: DiskReader): AsyncGenerator<boolean, void, undefined> {
  for (let window = 0; window < reader.sizeBytes; window += allocationWindowBytes) {
    const end = Math.min(window + allocationWindowBytes, reader.sizeBytes);
    const extents = await reader.allocation({ offsetBytes: window, lengthBytes: end - window });
    let index = 0;
    for (let start = window; start < end; start += stripeBytes) {
      const stripeEnd = Math.min(start + stripeBytes, end);
      const endOf = ({ offsetBytes, lengthBytes }: ByteRange): number => offsetBytes + lengthBytes;
      while (
        index < extents.length - 1 &&
        endOf(extents[index] ?? { offsetBytes: 0, lengthBytes: 0 }) <= start
      )
        index++;
      const extent = extents[index];
      yield extent?.kind === 'zero' && endOf(extent) >= stripeEnd;
    }
  }
}

class ExtentBuilder {
  readonly extents: ByteRange[] = [];

  /** Adds the fine blocks whose byte is 1. */
  add(changed: Uint8Array, originBytes: number, diskSizeBytes: number): void {
    for (let index = changed.indexOf(1); index >= 0;) {
      let end = changed.indexOf(0, index);
      if (end < 0) end = changed.length;
      const offsetBytes = originBytes + index * fineBytes;
      const lengthBytes = Math.min(originBytes + end * fineBytes, diskSizeBytes) - offsetBytes;
      const last = this.extents.at(-1);
      if (last && last.offsetBytes + last.lengthBytes === offsetBytes) last.lengthBytes += lengthBytes;
      else this.extents.push({ offsetBytes, lengthBytes });
      index = changed.indexOf(1, end);
    }
  }
}

/**
 * Scans the disk. May be called again with the same paths after any failure. Throws `TrackingLost` when the older digests
 * are missing or damaged, and errors of the disk and of the new file.
 */
export async function scanDisk(options: ScanOptions): Promise<ScannedDisk> {
  const { reader, path, older, signal, onProgress } = options;
  const { sizeBytes } = reader;
  await using before = older && (await DigestReader.open(older.path, older.sizeBytes));
  const key = before?.key ?? randomBytes(keyBytes);
  await using writer = await DigestWriter.create(path, { diskSizeBytes: sizeBytes, key });
  const scanner = new StripeScanner(options, key);
  const found = new ExtentBuilder();
  const ahead: { range: ByteRange; stripe: Promise<HashedStripe> }[] = [];
  let bytesRead = 0;
  const takeOne = async (): Promise<void> => {
    const next = ahead.shift();
    if (next === undefined) return;
    const { records, changed } = await next.stripe;
    await writer.append(records);
    found.add(changed, next.range.offsetBytes, sizeBytes);
    onProgress?.(next.range.offsetBytes + next.range.lengthBytes);
  };
  try {
    let offsetBytes = 0;
    for await (const isHole of holes(reader)) {
      signal?.throwIfAborted();
      const range = { offsetBytes, lengthBytes: Math.min(stripeBytes, sizeBytes - offsetBytes) };
      const records = await before?.next(Math.ceil(range.lengthBytes / coarseBytes) * recordBytes);
      const stripe = scanner.scan(range, isHole, records);
      // Thrown when its turn comes, not as unhandled before.
      stripe.catch(() => undefined);
      ahead.push({ range, stripe });
      if (!isHole) bytesRead += range.lengthBytes;
      offsetBytes += range.lengthBytes;
      if (ahead.length >= stripesAhead) await takeOne();
    }
    while (ahead.length > 0) await takeOne();
  } finally {
    // Nobody reads the disk behind the back of a caller that closes it now.
    await Promise.allSettled(ahead.map(({ stripe }) => stripe));
  }
  if (older) before?.verify(older.sha256);
  return { sha256: await writer.finish(), extents: found.extents, bytesRead };
}

/** For messages: a scan that finds its reference gone. */
export function referenceLost(reference: string, why: string): LifeboatError {
  return new LifeboatError('TrackingLost', `The digests of the reference ${reference} ${why}.`);
}
