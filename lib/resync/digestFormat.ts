// Coarse manifests, which lie in storage, and fine answers, which travel once. Readers say what they expect, because they
// always know it: digests of another disk, generation or size are refused before one of them is compared.
import { LifeboatError } from '../errors.ts';
import {
  blockCount,
  blockRange,
  coarseBlockBytes,
  fineBlockBytes,
  fineCount,
  segmentBlocks,
} from './blocks.ts';
import { encodeList, parseList, type ListExpectation } from './digestList.ts';
import type { DigestScope } from './names.ts';

/** Most coarse blocks whose fine digests one request may ask for: 64 MiB of disk, an answer of at most 528 KiB. */
export const maxFineBlocks = 256;

/** One segment of one generation of one disk. */
export interface CoarseSubject {
  scope: DigestScope;
  diskSizeBytes: number;
  segment: number;
}

function coarseExpectation({ scope, diskSizeBytes, segment }: CoarseSubject): ListExpectation {
  const { firstBlock, count } = segmentBlocks(diskSizeBytes, segment);
  return {
    subject: { kind: 'coarse', scope, diskSizeBytes, firstBlock, blockBytes: coarseBlockBytes },
    prefix: new Uint8Array(0),
    count,
    lengthOf: (index) => blockRange(diskSizeBytes, coarseBlockBytes, firstBlock + index).lengthBytes,
  };
}

/** The manifest of a segment; `digests` has one SHA-256 for each of its coarse blocks, in order (RangeError otherwise). */
export function encodeCoarse(subject: CoarseSubject, digests: Uint8Array): Uint8Array {
  const expectation = coarseExpectation(subject);
  requireCount(digests, expectation.count);
  return encodeList({ ...expectation, digests });
}

/** The digests of a segment. Throws `DigestsInvalid`, `DigestsForeign`. */
export function parseCoarse(manifest: Uint8Array, subject: CoarseSubject): Uint8Array {
  return parseList(manifest, coarseExpectation(subject));
}

/** Some coarse blocks of one generation of one disk, ascending. */
export interface FineSubject {
  scope: DigestScope;
  diskSizeBytes: number;
  coarseBlocks: readonly number[];
}

/**
 * Throws `DigestRequestTooLarge` for more blocks than one answer holds, `InvalidRequest` unless the blocks are on the disk
 * and strictly ascending.
 */
export function checkFineBlocks(diskSizeBytes: number, coarseBlocks: readonly number[]): void {
  if (coarseBlocks.length > maxFineBlocks) {
    const message = `${coarseBlocks.length} blocks were asked for; one answer holds ${maxFineBlocks}.`;
    throw new LifeboatError('DigestRequestTooLarge', message, { target: 'blocks' });
  }
  const count = blockCount(diskSizeBytes, coarseBlockBytes);
  coarseBlocks.forEach((block, index) => {
    const previous = coarseBlocks[index - 1] ?? -1;
    if (Number.isSafeInteger(block) && block > previous && block < count) return;
    const message = `Block ${block} at place ${index} must be above ${previous} and below ${count}.`;
    throw new LifeboatError('InvalidRequest', message, { target: 'blocks' });
  });
}

function fineExpectation({ scope, diskSizeBytes, coarseBlocks }: FineSubject): ListExpectation {
  checkFineBlocks(diskSizeBytes, coarseBlocks);
  const prefix = Buffer.alloc(coarseBlocks.length * 4);
  const lengths: number[] = [];
  coarseBlocks.forEach((block, index) => {
    prefix.writeUInt32LE(block, index * 4);
    const { lengthBytes } = blockRange(diskSizeBytes, coarseBlockBytes, block);
    for (let fine = 0; fine < fineCount(diskSizeBytes, block); fine++)
      lengths.push(blockRange(lengthBytes, fineBlockBytes, fine).lengthBytes);
  });
  return {
    subject: { kind: 'fine', scope, diskSizeBytes, firstBlock: 0, blockBytes: fineBlockBytes },
    prefix,
    count: lengths.length,
    lengthOf: (index) => lengths[index] ?? fineBlockBytes,
  };
}

/**
 * The answer with the fine digests of some coarse blocks, end to end. Throws as `checkFineBlocks`; RangeError when
 * `digests` has not one for each fine block.
 */
export function encodeFine(subject: FineSubject, digests: Uint8Array): Uint8Array {
  const expectation = fineExpectation(subject);
  requireCount(digests, expectation.count);
  return encodeList({ ...expectation, digests });
}

/** The fine digests, those of each coarse block after those of the one before. Throws `DigestsInvalid`, `DigestsForeign`. */
export function parseFine(answer: Uint8Array, subject: FineSubject): Uint8Array {
  return parseList(answer, fineExpectation(subject));
}

function requireCount(digests: Uint8Array, count: number): void {
  if (digests.length !== count * 32)
    throw new RangeError(`${count} digests have ${count * 32} bytes; got ${digests.length}`);
}
