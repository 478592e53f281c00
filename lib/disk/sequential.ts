// One pass over a source from front to back, with the next read always in flight while the caller works on this
// one. At most two chunks are in memory.
import { makeReadBuffer } from './readBuffer.ts';
import { readReusing, type RandomAccessSource } from './source.ts';

/** A piece of the source in order. */
export interface SequentialChunk {
  offsetBytes: number;
  bytes: Uint8Array;
}

/**
 * Yields the whole source in chunks of `chunkBytes` (the last may be shorter). A failed read is thrown by the loop. With
 * `isReusing` the bytes of a chunk are valid only until the next is taken: for those who are done with them then.
 */
export async function* readSequentially(
  source: RandomAccessSource,
  chunkBytes: number,
  { isReusing = false }: { isReusing?: boolean } = {},
): AsyncGenerator<SequentialChunk, void, undefined> {
  // For the chunk that the caller works on, and the one that is being read.
  const bufferBytes = isReusing && source.readInto !== undefined ? Math.min(chunkBytes, source.sizeBytes) : 0;
  let [buffer, spare] = [makeReadBuffer(bufferBytes), makeReadBuffer(bufferBytes)];
  const readAt = (offsetBytes: number): Promise<Uint8Array> => {
    const lengthBytes = Math.min(chunkBytes, source.sizeBytes - offsetBytes);
    if (!isReusing) return source.read(offsetBytes, lengthBytes);
    [buffer, spare] = [spare, buffer];
    return readReusing(source, offsetBytes, lengthBytes, buffer);
  };
  let ahead: Promise<Uint8Array> | undefined = source.sizeBytes > 0 ? readAt(0) : undefined;
  try {
    for (let offsetBytes = 0; ahead !== undefined; offsetBytes += chunkBytes) {
      const bytes: Uint8Array = await ahead;
      const nextOffsetBytes = offsetBytes + chunkBytes;
      ahead = nextOffsetBytes < source.sizeBytes ? readAt(nextOffsetBytes) : undefined;
      // It may fail while the caller is still at work; it is thrown when its turn comes, not as unhandled.
      ahead?.catch(() => undefined);
      yield { offsetBytes, bytes };
    }
  } finally {
    // The caller left the loop early: its own error is the one that counts, not that of a read nobody waits for.
    await ahead?.catch(() => undefined);
  }
}
