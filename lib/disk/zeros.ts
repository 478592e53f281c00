// Whether bytes are all zeros: many times faster than hashing or writing them.

const zeros = Buffer.alloc(64 * 1024);

/** True for no bytes at all, too. */
export function isZeros(bytes: Uint8Array): boolean {
  for (let done = 0; done < bytes.length; done += zeros.length) {
    const part = bytes.subarray(done, done + zeros.length);
    if (Buffer.compare(part, zeros.subarray(0, part.length)) !== 0) return false;
  }
  return true;
}
