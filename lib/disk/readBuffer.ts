// Memory that files are read into, for loops that use the same again and again. Processors of AMD since Zen 3 copy several
// times slower to the first bytes of a page, from the page cache, than to anywhere else in it; and large arrays begin there.
const shiftBytes = 128;

/** Bytes to be filled by reads: zeros at first, and not all of their buffer. */
export function makeReadBuffer(lengthBytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(lengthBytes + shiftBytes), shiftBytes, lengthBytes);
}

/** For one read: not cleared before, so all of it must be filled. */
export function makeUnclearedReadBuffer(lengthBytes: number): Buffer {
  return Buffer.allocUnsafe(lengthBytes + shiftBytes).subarray(shiftBytes);
}

/** As `makeReadBuffer`, in memory that other threads see. */
export function makeSharedReadBuffer(lengthBytes: number): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(new SharedArrayBuffer(lengthBytes + shiftBytes), shiftBytes, lengthBytes);
}
