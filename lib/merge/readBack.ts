// Reads back what a merge wrote and compares it with the log: the proof that the replica holds those bytes, whatever
// lies between this process and the disks of the service. Only the ranges of the plan are read.
import type { RandomAccessSource } from '../disk/source.ts';
import { LifeboatError } from '../errors.ts';
import type { ByteRange } from '../storage/ports.ts';
import { Arenas } from './arenas.ts';
import { forEachBounded } from './bounded.ts';
import { mergeMemory, type ByteBudget } from './byteBudget.ts';
import { chooseOrder } from './estimate.ts';
import { totalLength, type Segments } from './segments.ts';
import { loadWindow, maxInFlightReadBytes } from './windowData.ts';
import { planWindows, type MergeWrite } from './windows.ts';

const windowBytes = 16 * 1024 * 1024;
const maxReadBytes = 8 * 1024 * 1024;
const readsInFlight = 4;
/** Bytes between two writes that are read and ignored rather than asked around: a request costs as much. */
const maxGapBytes = 128 * 1024;

export interface ReadBackInput {
  /** The log file that the plan was made from. */
  source: RandomAccessSource;
  segments: Segments;
  /** How errors name the target. */
  targetName: string;
  /** Reads the target. Calls run concurrently. */
  readTarget(range: ByteRange): Promise<Uint8Array>;
  /** What the buffers are taken from; the budget of the process when omitted. */
  memory?: ByteBudget;
  signal?: AbortSignal;
}

/** One read of the target, and the writes that lie in it with their data. */
interface ReadGroup extends ByteRange {
  expected: { offsetBytes: number; data: Uint8Array }[];
}

/**
 * Throws `ReplicaVerifyFailed` naming the first difference that it meets; returns the number of bytes that are equal. For use after
 * the merge and before anything else may write the target. Changes nothing; may be called again.
 */
export async function readBack(input: ReadBackInput): Promise<number> {
  const { source, segments, signal } = input;
  const liveBytes = totalLength(segments);
  const arenaBytes = Math.min(windowBytes, liveBytes);
  const readBytes = Math.min(maxInFlightReadBytes, source.sizeBytes) + readsInFlight * maxReadBytes;
  const release = await (input.memory ?? mergeMemory).take(arenaBytes + readBytes, signal);
  try {
    const arenas = new Arenas(arenaBytes);
    let comparedBytes = 0;
    for (const { writes } of planWindows(segments, windowBytes, chooseOrder(segments, windowBytes))) {
      const { data: loaded } = await loadWindow(source, writes, () => arenas.get(0), signal);
      await forEachBounded(groupReads(loaded), { concurrency: readsInFlight, signal }, async (group) => {
        const { offsetBytes, lengthBytes } = group;
        compare(group, await input.readTarget({ offsetBytes, lengthBytes }), input.targetName);
        for (const { data } of group.expected) comparedBytes += data.length;
      });
    }
    arenas.giveBack();
    return comparedBytes;
  } finally {
    release();
  }
}

function* groupReads(loaded: ReadonlyMap<MergeWrite, Uint8Array>): Generator<ReadGroup, void, undefined> {
  let group: ReadGroup | undefined;
  for (const [{ diskOffset, length }, data] of loaded) {
    const part = { offsetBytes: diskOffset, data };
    const joinedBytes = group === undefined ? length : diskOffset + length - group.offsetBytes;
    const gapBytes = group === undefined ? 0 : joinedBytes - length - group.lengthBytes;
    if (group !== undefined && gapBytes <= maxGapBytes && joinedBytes <= maxReadBytes) {
      group.lengthBytes = joinedBytes;
      group.expected.push(part);
      continue;
    }
    if (group !== undefined) yield group;
    group = { offsetBytes: diskOffset, lengthBytes: length, expected: [part] };
  }
  if (group !== undefined) yield group;
}

function compare(group: ReadGroup, found: Uint8Array, targetName: string): void {
  for (const { offsetBytes, data } of group.expected) {
    const start = offsetBytes - group.offsetBytes;
    const stored = found.subarray(start, start + data.length);
    if (Buffer.compare(stored, data) === 0) continue;
    const at = data.findIndex((byte, index) => stored[index] !== byte);
    const byte = (value: number | undefined) => (value === undefined ? 'nothing' : `0x${value.toString(16)}`);
    throw new LifeboatError(
      'ReplicaVerifyFailed',
      `${targetName} has ${byte(stored[at])} at offset ${offsetBytes + at} where the log has ${byte(data[at])}.`,
      { target: targetName },
    );
  }
}
