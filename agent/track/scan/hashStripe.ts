// Digests of one stripe of a disk, and which of its 4 KiB blocks are not what the older digests say. These functions run in
// worker threads from their own text, so they use nothing but their arguments.

/** A stripe is what is read at once; a record is of one coarse block: its digest, then one for each fine block. */
export const stripeBytes = 4 * 1024 * 1024;
export const coarseBytes = 64 * 1024;
export const fineBytes = 4096;
/** Of every digest. */
const digestBytes = 16;
export const recordBytes = digestBytes + (coarseBytes / fineBytes) * digestBytes;
export const keyBytes = 16;

export interface HashedStripe {
  /** A record for each coarse block that the stripe has. All zeros in a record or a digest: the block is zeros. */
  records: Uint8Array;
  /** One byte a fine block: 1 = changed; without older digests: 1 = not zeros. */
  changed: Uint8Array;
}

/** What the digests are made with: both return 16 bytes at least. */
export interface StripeDigests {
  coarse: (bytes: Uint8Array) => Uint8Array;
  fine: (bytes: Uint8Array) => Uint8Array;
  /** A coarse block of them. */
  zeros: Uint8Array;
}

/** Bytes [from, to) of a stripe, valid until the next call. Coarse blocks are asked for, from the first to the last. */
export type StripeBytes = (from: number, to: number) => Uint8Array;

/** Without `older` every digest is taken; with it, the fine ones only where the coarse one differs. */
export function hashStripe(
  digests: StripeDigests,
  lengthBytes: number,
  bytesAt: StripeBytes,
  older: Uint8Array | undefined,
): HashedStripe {
  const [coarse, fine, digestSize] = [65536, 4096, 16];
  const recordSize = digestSize + (coarse / fine) * digestSize;
  const blocks = Math.ceil(lengthBytes / coarse);
  const records = new Uint8Array(blocks * recordSize);
  const changed = new Uint8Array(Math.ceil(lengthBytes / fine));
  const isZero = (part: Uint8Array): boolean =>
    Buffer.compare(part, digests.zeros.subarray(0, part.length)) === 0;
  for (let block = 0; block < blocks; block++) {
    const part = bytesAt(block * coarse, Math.min((block + 1) * coarse, lengthBytes));
    const record = records.subarray(block * recordSize, (block + 1) * recordSize);
    const before = older?.subarray(block * recordSize, (block + 1) * recordSize);
    const isHole = isZero(part);
    if (!isHole) record.set(digests.coarse(part).subarray(0, digestSize), 0);
    if (before && Buffer.compare(record.subarray(0, digestSize), before.subarray(0, digestSize)) === 0) {
      record.set(before, 0);
      continue;
    }
    if (isHole && !before) continue;
    for (let index = 0; index * fine < part.length; index++) {
      const piece = part.subarray(index * fine, Math.min((index + 1) * fine, part.length));
      const at = digestSize + index * digestSize;
      const isEmpty = isHole || isZero(piece);
      if (!isEmpty) record.set(digests.fine(piece).subarray(0, digestSize), at);
      const isSame = before
        ? Buffer.compare(record.subarray(at, at + digestSize), before.subarray(at, at + digestSize)) === 0
        : isEmpty;
      if (!isSame) changed[(block * coarse) / fine + index] = 1;
    }
  }
  return { records, changed };
}
