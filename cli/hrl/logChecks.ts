// What is asked of a log that a command writes, of its place and of the disks, before anything is read or written.
import { stat } from 'node:fs/promises';
import { AgentError } from '../../agent/agentError.ts';
import { maxMetadataSizeBytes, nilGuid, toHrlSeconds } from '../../lib/hrl/format.ts';
import { UsageError } from '../failure.ts';

/** Throws UsageError when `out` is one of the inputs, under whatever name: --force must not destroy what it reads. */
export async function requireNoInput(out: string, inputs: readonly string[]): Promise<void> {
  const existing = await stat(out).catch(() => undefined);
  if (existing === undefined) return;
  for (const input of inputs) {
    // One that is missing is for its reader to name.
    const found = await stat(input).catch(() => undefined);
    if (found?.dev === existing.dev && found.ino === existing.ino)
      throw new UsageError(`The output ${out} is the same file as the input ${input}.`);
  }
}

/** Throws UsageError unless it is a size that a metadata block may have. */
export function requireMetadataSize(sizeBytes: number): void {
  if (sizeBytes % 512 !== 0 || sizeBytes < 512 || sizeBytes > maxMetadataSizeBytes)
    throw new UsageError(`--metadata-size is a multiple of 512 from 512 to ${maxMetadataSizeBytes}.`);
}

/** Throws UsageError for ids with which nobody could apply the log in its place. */
export function requireIds({ id, previous }: { id: string; previous: string | undefined }): void {
  if (id === nilGuid)
    throw new UsageError('--id is nil, which means "no log": the next log could not name this one.');
  if (id === previous)
    throw new UsageError('--id and --previous are the same: a log does not follow itself.');
}

/** Throws UsageError for a time that a log cannot keep. */
export function requireTime(createdAt: Date): void {
  try {
    toHrlSeconds(createdAt);
  } catch (error) {
    throw new UsageError(`--created-at: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

/** Throws AgentError unless that many bytes can be a disk. */
export function requireSectors({ path, sizeBytes }: { path: string; sizeBytes: number }): void {
  if (sizeBytes > 0 && sizeBytes % 512 === 0) return;
  const message = `${path} has ${sizeBytes} bytes, which is no multiple of 512 above 0.`;
  throw new AgentError('DiskSizeMismatch', message, 'Check that the file is the whole image of a disk.');
}
