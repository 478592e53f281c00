// Anything that bytes can be read from at any offset: a file, a range-readable blob, an array in a test.

/** A readable of fixed size. Reads may run concurrently. */
export interface RandomAccessSource {
  readonly sizeBytes: number;
  /** A read costs about as much as so many more bytes in another one; `networkReadBytes` when absent. */
  readonly readCostBytes?: number;
  /**
   * Returns exactly `lengthBytes` bytes from `offsetBytes`; the caller must not ask past the end (RangeError).
   * The returned array belongs to the caller.
   */
  read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array>;
  /**
   * Fills `target` with the bytes from `offsetBytes`; otherwise like `read`. For loops over large sources, in which
   * making arrays costs as much as reading. Absent where bytes come in arrays of their own.
   */
  readInto?(offsetBytes: number, target: Uint8Array): Promise<void>;
  /**
   * As `readInto`, on the calling thread, where nothing has to be waited for. False when that is not known to be so: `target`
   * may hold anything then, and `readInto` is to be asked. For loops over many small reads: promises cost more than those. Such
   * a loop leaves turns to others itself.
   */
  readNow?(offsetBytes: number, target: Uint8Array): boolean;
  /**
   * The bytes where they stand in memory already, which nobody may change; undefined where they would have to be fetched.
   * Absent where nothing stands in memory.
   */
  view?(offsetBytes: number, lengthBytes: number): Uint8Array | undefined;
  /** Whether many short reads there cost hardly more than a long one: no request goes out for them. Everywhere when absent. */
  isNear?(offsetBytes: number, lengthBytes: number): boolean;
}

/** What a request over a network costs, in bytes that could travel meanwhile. */
export const networkReadBytes = 128 * 1024;

/** Reads into `buffer` where the source can, which must be long enough; the result is valid until it is used again. */
export async function readReusing(
  source: RandomAccessSource,
  offsetBytes: number,
  lengthBytes: number,
  buffer: Uint8Array,
): Promise<Uint8Array> {
  if (source.readInto === undefined) return source.read(offsetBytes, lengthBytes);
  const target = buffer.subarray(0, lengthBytes);
  await source.readInto(offsetBytes, target);
  return target;
}

/** A source over bytes in memory. Reads return views, not copies. */
export function memorySource(bytes: Uint8Array): RandomAccessSource {
  return {
    sizeBytes: bytes.length,
    async read(offsetBytes, lengthBytes) {
      if (offsetBytes < 0 || lengthBytes < 0 || offsetBytes + lengthBytes > bytes.length) {
        throw new RangeError(`read [${offsetBytes}, ${offsetBytes + lengthBytes}) of ${bytes.length} bytes`);
      }
      return bytes.subarray(offsetBytes, offsetBytes + lengthBytes);
    },
  };
}
