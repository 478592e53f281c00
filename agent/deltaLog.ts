// Makes one Hyper-V Replica Log file out of the writes of a cycle. The file appears whole, closed and flushed, or not
// at all; its digest is taken from the bytes that were written.
import { createHash } from 'node:crypto';
import { readSequentially } from '../lib/disk/sequential.ts';
import { closedHeaderOf } from '../lib/hrl/newHeader.ts';
import {
  HrlWriter,
  type HrlTotals,
  type HrlWrite,
  type HrlWriterOptions,
  type UnreadWrite,
} from '../lib/hrl/writer.ts';
import { openFileSource } from './fileSource.ts';
import { HashingSink } from './hashingSink.ts';
import { writeOutputFile } from './outputFile.ts';
import { startDigest } from './streamDigest.ts';

const hashChunkBytes = 4 * 1024 * 1024;

/** What was written. */
export interface DeltaLog {
  path: string;
  sizeBytes: number;
  /** Of the file, lower-case hex: goes with the upload as metadata. */
  sha256: string;
  uniqueId: string;
  entryCount: number;
  dataBytes: number;
}

/** sha256 of a whole file, lower-case hex. */
export async function fileSha256(path: string, signal?: AbortSignal): Promise<string> {
  await using file = await openFileSource(path);
  const hash = createHash('sha256');
  for await (const { bytes } of readSequentially(file, hashChunkBytes, { isReusing: true })) {
    signal?.throwIfAborted();
    hash.update(bytes);
  }
  return hash.digest('hex');
}

export interface DeltaLogOptions extends HrlWriterOptions {
  replace?: boolean;
  signal?: AbortSignal;
  /**
   * What the writes will add up to, if that is known before: the digest is then taken while writing instead of in a
   * second pass. A wrong guess costs that second pass, nothing else.
   */
  expected?: HrlTotals;
  /** Called after every write with the bytes of data so far, and where on the disk the write ended. */
  onProgress?: (dataBytes: number, diskEndBytes: number) => void;
}

/** Writes with their bytes, each of them valid until the next is taken, or writes that are still to be read. */
export type LogWrites = AsyncIterable<HrlWrite> | Iterable<UnreadWrite>;

/**
 * Writes the log of one cycle of one disk; writes that are not read yet are read while it is written, several at a time, and
 * none of them any more when it has ended. No writes make a valid log that says "nothing changed". Throws AgentError
 * for the file, RangeError for options that no log can have, and whatever `writes` or `signal` throw.
 */
export async function writeDeltaLog(
  path: string,
  writes: LogWrites,
  options: DeltaLogOptions,
): Promise<DeltaLog> {
  const { replace = false, signal, expected, onProgress, ...header } = options;
  return writeOutputFile(path, { replace }, async (output) => {
    await using digest = expected && startDigest(expected.dataBytes);
    const closedHeader = expected && closedHeaderOf(header, expected);
    const sink = new HashingSink(output, digest && closedHeader && { header: closedHeader, digest });
    const writer = await HrlWriter.open(sink, header);
    let dataBytes = 0;
    const note = ({ diskOffset }: { diskOffset: number }, lengthBytes: number): void => {
      dataBytes += lengthBytes;
      onProgress?.(dataBytes, diskOffset + lengthBytes);
      signal?.throwIfAborted();
    };
    try {
      signal?.throwIfAborted();
      if (Symbol.iterator in writes) await writer.appendUnread(noted(writes, note));
      else
        for await (const write of writes) {
          await writer.append(write);
          note(write, write.data.length);
        }
      await writer.close();
    } finally {
      // Nobody reads the disk, or writes the file, behind the back of a caller that closes it now.
      await sink.settle();
    }
    const { sizeBytes, entryCount } = writer;
    const sha256 = (await sink.takeSha256()) ?? (await fileSha256(output.temporaryPath, signal));
    return { path, sizeBytes, sha256, uniqueId: header.uniqueId.toLowerCase(), entryCount, dataBytes };
  });
}

function* noted(
  writes: Iterable<UnreadWrite>,
  note: (write: UnreadWrite, lengthBytes: number) => void,
): Generator<UnreadWrite, void, undefined> {
  for (const write of writes) {
    yield write;
    note(write, write.lengthBytes);
  }
}
