// Proves a whole log before its first byte is applied (invariant 4): structure, bounds against the disk, its place
// in the chain, then in one pass over the file the digest and every data checksum that the writer gave. Memory is
// two 8 MiB reads plus 28 bytes an entry, whatever the size of the log.
import { createHash } from 'node:crypto';
import { readSequentially } from '../disk/sequential.ts';
import type { RandomAccessSource } from '../disk/source.ts';
import type { HrlEntries } from './entries.ts';
import { formatChecksum, HrlError } from './errors.ts';
import {
  addByteSum,
  checksumOfSum,
  headerField,
  metadataEntryField,
  metadataEntrySizeBytes,
  metadataHeaderSizeBytes,
  nilGuid,
  type HrlHeader,
} from './format.ts';
import { readHrl, type HrlLog } from './reader.ts';

// Above 4 MiB, where some services begin to stream instead of reading twice for a range MD5.
const chunkBytes = 8 * 1024 * 1024;

/** What the receiver knows about the log that must come. */
export interface HrlExpectations {
  /** Size of the protected disk, without the padding of its replica. */
  diskSizeBytes: number;
  /** Hex digest of the file, when the sender gave one. */
  sha256?: string;
  /** UniqueId of the log that was applied before: this log names it as its predecessor, or nobody (nil GUID). */
  previousUniqueId?: string;
}

/** A log that may be applied. */
export interface VerifiedHrl {
  log: HrlLog;
  /** Of the whole file, lower-case hex. */
  sha256: string;
  /** Sum of the lengths of all writes. */
  dataBytes: number;
}

/**
 * Sees the bytes of a log that is being checked: the whole file, once, from front to back. They are not to be kept beyond
 * the promise, or the call where there is none.
 */
export type HrlWatcher = (offsetBytes: number, bytes: Uint8Array) => void | Promise<void>;

/**
 * Reads and checks the whole log. Throws HrlError: the structural codes of `readHrl`, `LogEntryOutOfBounds`,
 * `LogChainBroken`, `LogDataCorrupt`, `LogDigestMismatch`. Changes nothing; may be called again. What `watch` saw is the
 * verified log only if nothing is thrown.
 */
export async function verifyHrl(
  source: RandomAccessSource,
  expect: HrlExpectations,
  watch?: HrlWatcher,
): Promise<VerifiedHrl> {
  const log = await readHrl(source);
  checkChain(log.header, expect.previousUniqueId);
  const dataBytes = checkBounds(log, expect.diskSizeBytes);
  const sha256 = await digestFile(source, log, watch);
  if (expect.sha256 !== undefined && expect.sha256.toLowerCase() !== sha256) {
    const fault = { structure: 'log file', offsetBytes: 0, field: 'sha256' };
    throw new HrlError('LogDigestMismatch', { ...fault, expected: expect.sha256, found: sha256 });
  }
  return { log, sha256, dataBytes };
}

/** A log must name its predecessor, or nobody; and it cannot be its own predecessor, sent again as something new. */
function checkChain(header: HrlHeader, previousUniqueId = nilGuid): void {
  const last = previousUniqueId.toLowerCase();
  if (last === nilGuid) return;
  const refuse = (field: 'UniqueId' | 'PreviousUniqueId', expected: string, found: string) =>
    new HrlError('LogChainBroken', {
      structure: 'log header',
      offsetBytes: headerField[field],
      field,
      expected,
      found,
    });
  if (header.uniqueId === last)
    throw refuse('UniqueId', 'another log than the one applied last', header.uniqueId);
  const named = header.previousUniqueId;
  if (named !== nilGuid && named !== last) throw refuse('PreviousUniqueId', last, named);
}

/** Refuses a write that ends past the disk; returns the sum of all lengths. */
function checkBounds(log: HrlLog, diskSizeBytes: number): number {
  const { count, diskOffsets, lengths } = log.entries;
  let dataBytes = 0;
  for (let index = 0; index < count; index++) {
    const length = lengths[index] ?? 0;
    const diskEnd = (diskOffsets[index] ?? 0) + length;
    if (diskEnd > diskSizeBytes) {
      throw new HrlError('LogEntryOutOfBounds', {
        structure: 'entry',
        offsetBytes: entryOffset(log, index) + metadataEntryField.ByteOffset,
        field: 'ByteOffset',
        expected: `an end of at most the disk size ${diskSizeBytes}`,
        found: `[${diskEnd - length}, ${diskEnd})`,
      });
    }
    dataBytes += length;
  }
  return dataBytes;
}

/** Where the 32 bytes of entry `index` are in the file. */
function entryOffset(log: HrlLog, index: number): number {
  let offset = 0;
  let slot = index;
  // It is in the last block that no later entry begins.
  for (const block of log.blocks) {
    if (slot < 0) break;
    offset = block.offset + metadataHeaderSizeBytes + slot * metadataEntrySizeBytes;
    slot -= block.entryCount;
  }
  return offset;
}

/** The one pass over the file: returns its sha256, throws at the first data that its checksum contradicts. */
async function digestFile(
  source: RandomAccessSource,
  log: HrlLog,
  watch: HrlWatcher | undefined,
): Promise<string> {
  const hash = createHash('sha256');
  const checker = new DataChecksumChecker(log.entries);
  for await (const { offsetBytes, bytes } of readSequentially(source, chunkBytes, { isReusing: true })) {
    hash.update(bytes);
    checker.take(offsetBytes, bytes);
    await watch?.(offsetBytes, bytes);
  }
  return hash.digest('hex');
}

/** Takes the file chunk by chunk and compares each entry's data with its DataChecksum; 0 means that none was given. */
class DataChecksumChecker {
  readonly #entries: HrlEntries;
  #index = 0;
  #sum = 0;

  constructor(entries: HrlEntries) {
    this.#entries = entries;
  }

  take(chunkStart: number, chunk: Uint8Array): void {
    const { count, dataOffsets, lengths, dataChecksums } = this.#entries;
    const chunkEnd = chunkStart + chunk.length;
    while (this.#index < count) {
      const start = dataOffsets[this.#index] ?? 0;
      const end = start + (lengths[this.#index] ?? 0);
      if (start >= chunkEnd) return;
      const expected = dataChecksums[this.#index] ?? 0;
      if (expected !== 0) {
        const from = Math.max(start, chunkStart) - chunkStart;
        this.#sum = addByteSum(chunk.subarray(from, Math.min(end, chunkEnd) - chunkStart), this.#sum);
      }
      if (end > chunkEnd) return;
      if (expected !== 0) this.#compare(start, expected);
      this.#sum = 0;
      this.#index++;
    }
  }

  #compare(dataOffset: number, stored: number): void {
    const computed = checksumOfSum(this.#sum);
    if (stored === computed) return;
    throw new HrlError('LogDataCorrupt', {
      structure: 'data',
      offsetBytes: dataOffset,
      field: 'DataChecksum',
      expected: formatChecksum(stored),
      found: formatChecksum(computed),
    });
  }
}
