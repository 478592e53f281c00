// Digests of one stripe of a disk, and which of its 4 KiB blocks are not what the older digests say. This function runs in
// worker threads from its own text, so it uses nothing but its arguments.

/** A stripe is what is read at once; a record is of one coarse block: its SHA-256, then 16 bytes for each fine block. */
export const stripeBytes = 4 * 1024 * 1024;
export const coarseBytes = 64 * 1024;
export const fineBytes = 4096;
export const recordBytes = 32 + (coarseBytes / fineBytes) * 16;

export interface HashedStripe {
  /** A record for each coarse block that the stripe has. All zeros in a record or a fine digest: the block is zeros. */
  records: Uint8Array;
  /** One byte a fine block: 1 = changed; without older digests: 1 = not zeros. */
  changed: Uint8Array;
}

/**
 * `sha256` digests bytes. Without `older` every digest is taken; with it, the fine ones only where the coarse one differs.
 * `zeros` has 64 KiB of zeros.
 */
export function hashStripe(
  sha256: (bytes: Uint8Array) => Uint8Array,
  zeros: Uint8Array,
  bytes: Uint8Array,
  older: Uint8Array | undefined,
): HashedStripe {
  const [coarse, fine, digestSize, shortSize] = [65536, 4096, 32, 16];
  const recordSize = digestSize + (coarse / fine) * shortSize;
  const blocks = Math.ceil(bytes.length / coarse);
  const records = new Uint8Array(blocks * recordSize);
  const changed = new Uint8Array(Math.ceil(bytes.length / fine));
  const isZero = (part: Uint8Array): boolean => Buffer.compare(part, zeros.subarray(0, part.length)) === 0;
  for (let block = 0; block < blocks; block++) {
    const part = bytes.subarray(block * coarse, Math.min((block + 1) * coarse, bytes.length));
    const record = records.subarray(block * recordSize, (block + 1) * recordSize);
    const before = older?.subarray(block * recordSize, (block + 1) * recordSize);
    const isHole = isZero(part);
    if (!isHole) record.set(sha256(part), 0);
    if (before && Buffer.compare(record.subarray(0, digestSize), before.subarray(0, digestSize)) === 0) {
      record.set(before, 0);
      continue;
    }
    if (isHole && !before) continue;
    for (let index = 0; index * fine < part.length; index++) {
      const piece = part.subarray(index * fine, Math.min((index + 1) * fine, part.length));
      const at = digestSize + index * shortSize;
      const isEmpty = isHole || isZero(piece);
      if (!isEmpty) record.set(sha256(piece).subarray(0, shortSize), at);
      const isSame = before
        ? Buffer.compare(record.subarray(at, at + shortSize), before.subarray(at, at + shortSize)) === 0
        : isEmpty;
      if (!isSame) changed[(block * coarse) / fine + index] = 1;
    }
  }
  return { records, changed };
}
