// Checking a whole log on the command line: with progress, and stopped by a signal.
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import { verifyHrl, type HrlExpectations, type VerifiedHrl } from '../../lib/hrl/verify.ts';
import type { Io } from '../io.ts';
import { startProgress } from '../progress.ts';

/** Throws what `verifyHrl` throws, or the signal's reason. */
export async function verifyWithProgress(
  io: Io,
  source: RandomAccessSource,
  expect: HrlExpectations,
  isQuiet: boolean,
): Promise<VerifiedHrl> {
  const progress = startProgress(io, 'verifying', source.sizeBytes, isQuiet);
  return verifyHrl(source, expect, (offsetBytes, bytes) => {
    io.signal.throwIfAborted();
    progress.report(offsetBytes + bytes.length);
  }).finally(progress.end);
}
