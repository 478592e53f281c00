// The write entries of a log as a struct of arrays, oldest first: 28 bytes an entry whatever the engine does with
// objects, so that a log of a million writes is planned in memory that a function has. The arrays are parallel.

/** All writes of a log in log order; index i of each array is entry i. Offsets and lengths are multiples of 512. */
export interface HrlEntries {
  readonly count: number;
  /** Where the data goes on the virtual disk, in bytes. */
  readonly diskOffsets: Float64Array;
  /** How many bytes, never 0. */
  readonly lengths: Uint32Array;
  /** Where the data is in the log file, in bytes. Ascending. */
  readonly dataOffsets: Float64Array;
  /** When the write happened, in seconds since 2000-01-01. */
  readonly timestamps: Uint32Array;
  /** Checksum of the data, 0 = the writer did not give one. */
  readonly dataChecksums: Uint32Array;
}

/** Room for `count` entries, all zero. */
export function allocateEntries(count: number): HrlEntries {
  return {
    count,
    diskOffsets: new Float64Array(count),
    lengths: new Uint32Array(count),
    dataOffsets: new Float64Array(count),
    timestamps: new Uint32Array(count),
    dataChecksums: new Uint32Array(count),
  };
}
