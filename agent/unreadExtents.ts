// Changed ranges of a disk as log writes that are not read yet: whoever writes the log has them read to where they go.
import { makeReadBuffer } from '../lib/disk/readBuffer.ts';
import { readReusing, type RandomAccessSource } from '../lib/disk/source.ts';
import type { UnreadWrite, WriteSource } from '../lib/hrl/writer.ts';
import type { ByteRange } from '../lib/storage/ports.ts';
import { groupPieces, maxGapBytes, type ExtentGroup } from './extentGroups.ts';

/** What is read together, for writes that lie close to each other: several groups are in memory at once. */
const mostGroupBytes = 1024 * 1024;

/**
 * The extents in their order, as writes of at most 4 MiB that read `source` when they are asked for their bytes. Those that
 * lie so close that a read of their own would cost more are read together.
 */
export function* unreadExtents(
  source: RandomAccessSource,
  extents: Iterable<ByteRange>,
): Generator<UnreadWrite, void, undefined> {
  // Where reads need no waiting, one more costs less than a copy.
  const mostGapBytes = source.readNow === undefined ? maxGapBytes : 0;
  const single = writeSourceOf(source);
  const buffers: Uint8Array[] = [];
  for (const group of groupPieces(extents, { mostGapBytes, mostGroupBytes })) {
    const from = group.pieces.length === 1 ? single : new GroupRead(source, group, buffers);
    for (const { offsetBytes, lengthBytes } of group.pieces)
      yield { diskOffset: offsetBytes, lengthBytes, source: from };
  }
}

/** Reads that go straight to their target, where the source can. */
function writeSourceOf(source: RandomAccessSource): WriteSource {
  return {
    async readInto(offsetBytes, target) {
      if (source.readInto !== undefined) return source.readInto(offsetBytes, target);
      target.set(await source.read(offsetBytes, target.length));
    },
    readNow: (offsetBytes, target) => source.readNow?.(offsetBytes, target) ?? false,
  };
}

/** Reads a group once, when its first byte is asked for; gives its buffer back when every byte was taken. */
class GroupRead implements WriteSource {
  readonly #source: RandomAccessSource;
  readonly #buffers: Uint8Array[];
  readonly #range: ByteRange;
  #leftBytes = 0;
  #buffer: Uint8Array | undefined;
  #loading: Promise<Uint8Array> | undefined;

  constructor(source: RandomAccessSource, { pieces, ...range }: ExtentGroup, buffers: Uint8Array[]) {
    this.#source = source;
    this.#buffers = buffers;
    this.#range = range;
    for (const { lengthBytes } of pieces) this.#leftBytes += lengthBytes;
  }

  async readInto(offsetBytes: number, target: Uint8Array): Promise<void> {
    const bytes = await (this.#loading ??= this.#load());
    const fromBytes = offsetBytes - this.#range.offsetBytes;
    target.set(bytes.subarray(fromBytes, fromBytes + target.length));
    this.#leftBytes -= target.length;
    if (this.#leftBytes === 0 && this.#buffer !== undefined) this.#buffers.push(this.#buffer);
  }

  #load(): Promise<Uint8Array> {
    this.#buffer = this.#buffers.pop() ?? makeReadBuffer(mostGroupBytes);
    return readReusing(this.#source, this.#range.offsetBytes, this.#range.lengthBytes, this.#buffer);
  }
}
