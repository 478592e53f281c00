// What is asked of the log that a command writes, before it is written.
import { stat } from 'node:fs/promises';
import { maxMetadataSizeBytes } from '../../lib/hrl/format.ts';
import { UsageError } from '../failure.ts';

/** Throws UsageError when `out` is one of the inputs, under whatever name: --force must not destroy what it reads. */
export async function requireNoInput(out: string, inputs: readonly string[]): Promise<void> {
  const existing = await stat(out).catch(() => undefined);
  if (existing === undefined) return;
  for (const input of inputs) {
    const { dev, ino } = await stat(input);
    if (dev === existing.dev && ino === existing.ino)
      throw new UsageError(`The output ${out} is the same file as the input ${input}.`);
  }
}

/** Throws UsageError unless it is a size that a metadata block may have. */
export function requireMetadataSize(sizeBytes: number): void {
  if (sizeBytes % 512 !== 0 || sizeBytes < 512 || sizeBytes > maxMetadataSizeBytes)
    throw new UsageError(`--metadata-size is a multiple of 512 from 512 to ${maxMetadataSizeBytes}.`);
}
