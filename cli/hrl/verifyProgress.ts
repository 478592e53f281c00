// Checking a whole log on the command line: with progress, and stopped by a signal.
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import { HrlError } from '../../lib/hrl/errors.ts';
import { verifyHrl, type HrlExpectations, type VerifiedHrl } from '../../lib/hrl/verify.ts';
import type { Io } from '../io.ts';
import { startProgress } from '../progress.ts';

/** Passes on what reading a log gives; its errors name the file. */
export async function inFile<T>(file: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    throw error instanceof HrlError ? error.inFile(file) : error;
  }
}

/** Throws what `verifyHrl` throws, with the name of the file, or the signal's reason. */
export async function verifyWithProgress(
  io: Io,
  { file, source }: { file: string; source: RandomAccessSource },
  expect: HrlExpectations,
  isQuiet: boolean,
): Promise<VerifiedHrl> {
  const progress = startProgress(io, 'verifying', source.sizeBytes, isQuiet);
  const verifying = verifyHrl(source, expect, (offsetBytes, bytes) => {
    io.signal.throwIfAborted();
    progress.report(offsetBytes + bytes.length);
  });
  return inFile(file, verifying).finally(progress.end);
}
