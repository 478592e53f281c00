// Several sources end to end as one: what lies across a border is read from both sides.
import { networkReadBytes, type RandomAccessSource } from './source.ts';

/** Offset 0 is the first byte of the first part. The parts stay open and belong to the caller. */
export function concatenatedSource(parts: readonly RandomAccessSource[]): RandomAccessSource {
  const starts: number[] = [];
  let sizeBytes = 0;
  for (const part of parts) {
    starts.push(sizeBytes);
    sizeBytes += part.sizeBytes;
  }
  return {
    sizeBytes,
    readCostBytes: Math.max(...parts.map(({ readCostBytes = networkReadBytes }) => readCostBytes)),
    async read(offsetBytes, lengthBytes) {
      const end = offsetBytes + lengthBytes;
      if (offsetBytes < 0 || lengthBytes < 0 || end > sizeBytes)
        throw new RangeError(`read [${offsetBytes}, ${end}) of ${sizeBytes} bytes`);
      const reads: Promise<Uint8Array>[] = [];
      parts.forEach((part, index) => {
        const start = starts[index] ?? 0;
        const from = Math.max(offsetBytes, start);
        const to = Math.min(end, start + part.sizeBytes);
        if (from < to) reads.push(part.read(from - start, to - from));
      });
      const pieces = await Promise.all(reads);
      const [only] = pieces;
      if (only !== undefined && pieces.length === 1) return only;
      const bytes = new Uint8Array(lengthBytes);
      let filled = 0;
      for (const piece of pieces) {
        bytes.set(piece, filled);
        filled += piece.length;
      }
      return bytes;
    },
  };
}
