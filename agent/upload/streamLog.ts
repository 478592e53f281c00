// A log that never lies on a disk of the source host: its bytes are made from the frozen view while they are sent. For hosts
// whose spool has no room: they keep only which blocks changed.
import { createHash } from 'node:crypto';
import { HrlEncoder, type FilePiece, type HrlWrite } from '../../lib/hrl/encoder.ts';
import { closedHeaderOf, type HrlTotals, type HrlWriterOptions } from '../../lib/hrl/newHeader.ts';
import { assertInvariant } from '../../lib/errors.ts';
import { blockBytes, uploadBlocks, type BlockUpload } from './blockUpload.ts';
import type { LogStatement } from './logStatement.ts';

export interface StreamedLog extends Pick<
  BlockUpload,
  'blocksUrl' | 'replaces' | 'limiter' | 'signal' | 'onProgress'
> {
  writes: AsyncIterable<HrlWrite>;
  header: HrlWriterOptions;
  /** What the writes add up to, exactly: it is in the header, which is sent first. */
  totals: HrlTotals;
  statement: Omit<LogStatement, 'sha256'>;
}

/** The pieces of the log in the order of the file, the header as it is at the end. */
async function* piecesOf({
  writes,
  header,
  totals,
}: StreamedLog): AsyncGenerator<Uint8Array, void, undefined> {
  const encoder = new HrlEncoder(header);
  const expected = closedHeaderOf(header, totals);
  const start = encoder.start();
  yield expected;
  for (const { offsetBytes, data } of start) if (offsetBytes > 0) yield data;
  for await (const write of writes) for (const { data } of encoder.append(write)) yield data;
  let last: FilePiece | undefined;
  for (const piece of encoder.finish()) {
    if (piece.offsetBytes > 0) yield piece.data;
    else last = piece;
  }
  assertInvariant(
    last !== undefined && Buffer.compare(last.data, expected) === 0,
    'a streamed log holds what its header says',
  );
}

async function* blocksOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let block = Buffer.allocUnsafe(blockBytes);
  let filled = 0;
  for await (const piece of pieces) {
    for (let done = 0; done < piece.length;) {
      const count = Math.min(piece.length - done, blockBytes - filled);
      block.set(piece.subarray(done, done + count), filled);
      done += count;
      filled += count;
      if (filled < blockBytes) continue;
      yield block;
      block = Buffer.allocUnsafe(blockBytes);
      filled = 0;
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}

/** Makes and sends the log; returns its digest and size. Throws as `uploadLog`, and what `writes` throws. */
export async function streamLog(log: StreamedLog): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  async function* hashed(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const piece of piecesOf(log)) {
      hash.update(piece);
      sizeBytes += piece.length;
      yield piece;
    }
  }
  let sha256 = '';
  const { blocksUrl, replaces = false, limiter, signal, onProgress, statement } = log;
  const commit = (): LogStatement => ({ ...statement, sha256: (sha256 = hash.digest('hex')) });
  await uploadBlocks({
    blocks: blocksOf(hashed()),
    replaces,
    blocksUrl,
    statement: commit,
    limiter,
    signal,
    onProgress,
  });
  return { sha256, sizeBytes };
}
