// Brings the bytes of one window into memory as they will be written. What stands in memory already is written from there;
// all else is read into an arena that holds the writes end to end, so that a page write is a view of it.
import { networkReadBytes, type RandomAccessSource } from '../disk/source.ts';
import { forEachBounded } from './bounded.ts';
import { isContiguous, type MergeWrite } from './windows.ts';

// Ranges above 4 MiB are read fastest; 16 MiB in flight are what the merge's memory bound allows.
const maxReadBytes = 8 * 1024 * 1024;
/** Log bytes of one merge that are being read at any moment. */
export const maxInFlightReadBytes = 16 * 1024 * 1024;
/** Short reads wait for the service more than for bytes, so more of them are in flight. */
const maxReadConcurrency = 16;
/** Runs of this length on average are read where they belong, without a buffer between. */
const minRunBytes = 512 * 1024;

interface ArenaPiece {
  dataOffset: number;
  length: number;
  arenaOffset: number;
}

/** One read of the log: [start, end), and the pieces in it. */
export interface LogRange {
  start: number;
  end: number;
  pieces: ArenaPiece[];
}

/**
 * Groups the pieces of some writes into long reads, ascending in the log; in the arena the writes stand end to end. What lies
 * between two pieces is read and thrown away where that costs less than another read.
 */
export function planReads(writes: readonly MergeWrite[], readCostBytes = networkReadBytes): LogRange[] {
  const pieces: ArenaPiece[] = [];
  let arenaOffset = 0;
  for (const write of writes) {
    for (const { dataOffset, length } of write.pieces) {
      pieces.push({ dataOffset, length, arenaOffset });
      arenaOffset += length;
    }
  }
  pieces.sort((a, b) => a.dataOffset - b.dataOffset);
  const ranges: LogRange[] = [];
  let current: LogRange | undefined;
  for (const piece of pieces) {
    const end = piece.dataOffset + piece.length;
    const fits =
      current !== undefined &&
      piece.dataOffset - current.end <= readCostBytes &&
      end - current.start <= maxReadBytes;
    if (current !== undefined && fits) {
      current.end = end;
      current.pieces.push(piece);
    } else {
      current = { start: piece.dataOffset, end, pieces: [piece] };
      ranges.push(current);
    }
  }
  return ranges;
}

/** Joins pieces that follow each other in the log and in the arena; they are given in the order of the log. */
function joinRuns(pieces: readonly ArenaPiece[]): ArenaPiece[] {
  const runs: ArenaPiece[] = [];
  for (const piece of pieces) {
    const last = runs.at(-1);
    const isNext =
      last !== undefined &&
      last.dataOffset + last.length === piece.dataOffset &&
      last.arenaOffset + last.length === piece.arenaOffset;
    if (isNext) last.length += piece.length;
    else runs.push({ ...piece });
  }
  return runs;
}

/** The data of some writes, in their order, and how much of it had to be fetched from the log. */
export interface WindowData {
  data: Map<MergeWrite, Uint8Array>;
  readBytes: number;
}

/** Loads the writes; at most 16 MiB are in flight. `takeArena` is asked for room for what no view is there for, if anything. */
export async function loadWindow(
  source: RandomAccessSource,
  writes: readonly MergeWrite[],
  takeArena: () => Uint8Array,
  signal: AbortSignal | undefined,
): Promise<WindowData> {
  const data = new Map<MergeWrite, Uint8Array>();
  const read: MergeWrite[] = [];
  let arena: Uint8Array | undefined;
  let arenaOffset = 0;
  for (const write of writes) {
    let bytes = isContiguous(write)
      ? source.view?.(write.pieces[0]?.dataOffset ?? 0, write.length)
      : undefined;
    if (bytes === undefined) {
      arena ??= takeArena();
      bytes = arena.subarray(arenaOffset, arenaOffset + write.length);
      arenaOffset += write.length;
      read.push(write);
    }
    data.set(write, bytes);
  }
  const readBytes = arena === undefined ? 0 : await fillArena(source, read, arena, signal);
  return { data, readBytes };
}

/** Fills `arena` with the data of the writes and returns the number of bytes read. */
async function fillArena(
  source: RandomAccessSource,
  writes: readonly MergeWrite[],
  arena: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<number> {
  let readBytes = 0;
  const ranges = planReads(writes, source.readCostBytes);
  const longest = ranges.reduce((most, { start, end }) => Math.max(most, end - start), 1);
  const concurrency = Math.min(maxReadConcurrency, Math.floor(maxInFlightReadBytes / longest));
  await forEachBounded(ranges, { concurrency, signal }, async (range) => {
    const rangeBytes = (await loadInPlace(source, range, arena)) ?? (await loadRange(source, range, arena));
    readBytes += rangeBytes;
  });
  return readBytes;
}

/** One read, of which the pieces are taken. Returns the number of bytes read. */
async function loadRange(source: RandomAccessSource, range: LogRange, arena: Uint8Array): Promise<number> {
  const { start, end, pieces } = range;
  const bytes = await source.read(start, end - start);
  for (const { dataOffset, length, arenaOffset } of pieces) {
    arena.set(bytes.subarray(dataOffset - start, dataOffset - start + length), arenaOffset);
  }
  return bytes.length;
}

/** A read for each run, where that is possible and costs no requests; undefined where one read of the range is better. */
async function loadInPlace(
  source: RandomAccessSource,
  { start, end, pieces }: LogRange,
  arena: Uint8Array,
): Promise<number | undefined> {
  if (source.readInto === undefined || source.isNear?.(start, end - start) === false) return undefined;
  const runs = joinRuns(pieces);
  if ((end - start) / runs.length < minRunBytes) return undefined;
  let readBytes = 0;
  for (const { dataOffset, length, arenaOffset } of runs) {
    await source.readInto(dataOffset, arena.subarray(arenaOffset, arenaOffset + length));
    readBytes += length;
  }
  return readBytes;
}
