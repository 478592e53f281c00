// A stripe read from its file by the thread that digests it, in pieces so short that they are still in the processor's cache
// when they are digested. This function runs in worker threads from its own text, so it uses nothing but its arguments.
import type { FilePlace } from '../../disk/reader.ts';
import type { StripeBytes } from './hashStripe.ts';

/** Read at once; a whole number of coarse blocks. */
export const pieceBytes = 128 * 1024;

/** Throws the system's error, and an Error when the file ends before the stripe. `buffer` holds one piece. */
export function filePieces(
  { fd, offsetBytes }: FilePlace,
  lengthBytes: number,
  buffer: Uint8Array,
): StripeBytes {
  const { readSync } = process.getBuiltinModule('node:fs');
  let start = 0;
  let end = 0;
  return (from, to) => {
    if (to > end) {
      start = end = from;
      const pieceEnd = Math.min(from + buffer.length, lengthBytes);
      while (end < pieceEnd) {
        const readBytes = readSync(fd, buffer, end - start, pieceEnd - end, offsetBytes + end);
        if (readBytes === 0) throw new Error(`the file ended at ${offsetBytes + end}`);
        end += readBytes;
      }
    }
    return buffer.subarray(from - start, to - start);
  };
}
