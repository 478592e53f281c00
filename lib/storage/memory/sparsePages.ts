// The bytes of one page blob, or of a snapshot of it: 64 KiB chunks that exist only where something was written, with
// one flag a page. Invariant: a chunk that a snapshot can see is never changed; a write replaces it by a copy first.
import { pageSizeBytes, type ByteRange } from '../ports.ts';

const chunkSizeBytes = 64 * 1024;
const pagesPerChunk = chunkSizeBytes / pageSizeBytes;

interface Chunk {
  bytes: Uint8Array;
  /** One byte a page: 1 = written and not cleared. */
  isWritten: Uint8Array;
}

export class SparsePages {
  readonly #chunks: Map<number, Chunk>;
  /** Chunks that no snapshot shares. */
  readonly #owned = new Set<number>();

  constructor(chunks = new Map<number, Chunk>()) {
    this.#chunks = chunks;
  }

  /** The pages as they are now, unaffected by later writes to either side. */
  freeze(): SparsePages {
    this.#owned.clear();
    return new SparsePages(new Map(this.#chunks));
  }

  read(range: ByteRange): Uint8Array {
    const result = new Uint8Array(range.lengthBytes);
    for (const piece of piecesOf(range)) {
      const chunk = this.#chunks.get(piece.chunkIndex);
      if (chunk !== undefined) result.set(chunk.bytes.subarray(piece.start, piece.end), piece.rangeOffset);
    }
    return result;
  }

  write(offsetBytes: number, data: Uint8Array): void {
    for (const piece of piecesOf({ offsetBytes, lengthBytes: data.length })) {
      const chunk = this.#ownedChunk(piece.chunkIndex);
      chunk.bytes.set(
        data.subarray(piece.rangeOffset, piece.rangeOffset + piece.end - piece.start),
        piece.start,
      );
      chunk.isWritten.fill(1, piece.start / pageSizeBytes, piece.end / pageSizeBytes);
    }
  }

  clear(range: ByteRange): void {
    const rangeEnd = range.offsetBytes + range.lengthBytes;
    // Over the chunks that exist: a range may span terabytes of nothing.
    for (const chunkIndex of [...this.#chunks.keys()]) {
      const chunkOffset = chunkIndex * chunkSizeBytes;
      const start = Math.max(range.offsetBytes - chunkOffset, 0);
      const end = Math.min(rangeEnd - chunkOffset, chunkSizeBytes);
      if (start >= end) continue;
      if (end - start === chunkSizeBytes) {
        this.#chunks.delete(chunkIndex);
        this.#owned.delete(chunkIndex);
        continue;
      }
      const chunk = this.#ownedChunk(chunkIndex);
      chunk.bytes.fill(0, start, end);
      chunk.isWritten.fill(0, start / pageSizeBytes, end / pageSizeBytes);
    }
  }

  /** Every written page as a range of its own, ascending. */
  *writtenPages(window: ByteRange): Generator<ByteRange> {
    const windowEnd = window.offsetBytes + window.lengthBytes;
    for (const chunkIndex of [...this.#chunks.keys()].sort((a, b) => a - b)) {
      const chunkOffset = chunkIndex * chunkSizeBytes;
      if (chunkOffset + chunkSizeBytes <= window.offsetBytes || chunkOffset >= windowEnd) continue;
      const isWritten = this.#chunks.get(chunkIndex)?.isWritten;
      for (let page = 0; page < pagesPerChunk; page++) {
        if (isWritten?.[page] !== 1) continue;
        yield { offsetBytes: chunkOffset + page * pageSizeBytes, lengthBytes: pageSizeBytes };
      }
    }
  }

  #ownedChunk(chunkIndex: number): Chunk {
    const shared = this.#chunks.get(chunkIndex);
    if (shared !== undefined && this.#owned.has(chunkIndex)) return shared;
    const chunk: Chunk = {
      bytes: shared?.bytes.slice() ?? new Uint8Array(chunkSizeBytes),
      isWritten: shared?.isWritten.slice() ?? new Uint8Array(pagesPerChunk),
    };
    this.#chunks.set(chunkIndex, chunk);
    this.#owned.add(chunkIndex);
    return chunk;
  }
}

interface Piece {
  chunkIndex: number;
  /** Where the piece starts and ends inside the chunk. */
  start: number;
  end: number;
  /** Where the piece starts inside the range. */
  rangeOffset: number;
}

/** Cuts a range at chunk borders. */
function* piecesOf(range: ByteRange): Generator<Piece> {
  const rangeEnd = range.offsetBytes + range.lengthBytes;
  for (let offset = range.offsetBytes; offset < rangeEnd;) {
    const chunkIndex = Math.floor(offset / chunkSizeBytes);
    const start = offset - chunkIndex * chunkSizeBytes;
    const end = Math.min(chunkSizeBytes, start + rangeEnd - offset);
    yield { chunkIndex, start, end, rangeOffset: offset - range.offsetBytes };
    offset += end - start;
  }
}
