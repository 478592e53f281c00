// The digest that proves a recovered disk: SHA-256 in three levels, so that it can be computed in parallel, resumed, and
// passes over terabytes of zeros in no time. Level 1: every block of 4 MiB (the last may be shorter). Level 2: the digests
// of the blocks of one span of 1 GiB, one after the other. Level 3: the digests of the spans. The bytes are those of the
// whole fixed VHD, its footer included; docs/recovery.md shows how anyone can compute it again.
import { createHash } from 'node:crypto';
import type { ByteRange } from '../storage/ports.ts';

export const blockBytes = 4 * 1024 * 1024;
const spanBytes = 1024 ** 3;

const zeroDigests = new Map<number, Uint8Array>();

/** The digest of a block of zeros. */
export function zeroBlockDigest(lengthBytes: number): Uint8Array {
  let digest = zeroDigests.get(lengthBytes);
  if (digest === undefined) {
    digest = blockDigest(new Uint8Array(lengthBytes));
    zeroDigests.set(lengthBytes, digest);
  }
  return digest;
}

/** Level 1. */
export function blockDigest(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

/** Levels 2 and 3: the digest of digests, in their order. */
export function digestOf(digests: Iterable<Uint8Array>): Uint8Array {
  const hash = createHash('sha256');
  for (const digest of digests) hash.update(digest);
  return hash.digest();
}

/** The spans of a blob, in order; the last may be shorter. */
export function spansOf(sizeBytes: number): ByteRange[] {
  return piecesOf({ offsetBytes: 0, lengthBytes: sizeBytes }, spanBytes);
}

/** The blocks of a span, in order; the last may be shorter. */
export function blocksOf(span: ByteRange): ByteRange[] {
  return piecesOf(span, blockBytes);
}

/** The range cut into pieces; the last may be shorter. */
export function piecesOf({ offsetBytes, lengthBytes }: ByteRange, pieceBytes: number): ByteRange[] {
  const end = offsetBytes + lengthBytes;
  const pieces: ByteRange[] = [];
  for (let at = offsetBytes; at < end; at += pieceBytes)
    pieces.push({ offsetBytes: at, lengthBytes: Math.min(pieceBytes, end - at) });
  return pieces;
}
