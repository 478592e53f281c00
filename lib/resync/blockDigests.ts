// SHA-256 of blocks. Coarse blocks are hashed by Web Crypto, which works on the threads of the runtime's pool: several in
// flight use several cores, without workers of our own. Fine blocks are too small for that and are hashed in place.
import { hash, webcrypto } from 'node:crypto';
import { isZeros } from '../disk/zeros.ts';
import { coarseBlockBytes, fineBlockBytes } from './blocks.ts';

export const digestBytes = 32;

const zeros = Buffer.alloc(coarseBlockBytes);
const zeroDigests = new Map<number, Uint8Array>();

/** The digest of that many zero bytes; at most 256 KiB. The array is shared: do not change it. */
export function zeroDigest(lengthBytes: number): Uint8Array {
  const known = zeroDigests.get(lengthBytes);
  if (known !== undefined) return known;
  if (lengthBytes > zeros.length) throw new RangeError(`no block has ${lengthBytes} bytes`);
  const digest = sha256Of(zeros.subarray(0, lengthBytes));
  zeroDigests.set(lengthBytes, digest);
  return digest;
}

/** The digest of a small piece, on this thread. */
export function sha256Of(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer');
}

/** The digest of a coarse block. The bytes may be reused as soon as the call returned: they are copied. */
export async function coarseDigest(bytes: Uint8Array): Promise<Uint8Array> {
  if (isZeros(bytes)) return zeroDigest(bytes.length);
  return new Uint8Array(await webcrypto.subtle.digest('SHA-256', bytes));
}

/** The digests of the blocks of `blockBytes` in these bytes, end to end; the last block may be shorter. */
export function digestsWithin(bytes: Uint8Array, blockBytes: number): Uint8Array {
  const count = Math.ceil(bytes.length / blockBytes);
  const digests = new Uint8Array(count * digestBytes);
  for (let block = 0; block < count; block++) {
    const piece = bytes.subarray(block * blockBytes, (block + 1) * blockBytes);
    digests.set(isZeros(piece) ? zeroDigest(piece.length) : sha256Of(piece), block * digestBytes);
  }
  return digests;
}

/** The fine digests of a coarse block of zeros with so many bytes. */
export function zeroFineDigests(lengthBytes: number): Uint8Array {
  return digestsWithin(zeros.subarray(0, lengthBytes), fineBlockBytes);
}

/** Whether two lists hold the same digest at the same place. */
export function sameDigest(a: Uint8Array, b: Uint8Array, index: number): boolean {
  const from = index * digestBytes;
  return Buffer.compare(a.subarray(from, from + digestBytes), b.subarray(from, from + digestBytes)) === 0;
}
