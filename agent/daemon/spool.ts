// Logs that were cut and are not applied yet. The folder has a quota: what does not fit is not written here at all, but made
// from the frozen view while it is sent; then the tracker's changed blocks are all that is kept.
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../fileErrors.ts';
import { removeFile } from './stateFiles.ts';

/** A log is a little larger than its data. */
const overhead = 1.01;
const fixedOverheadBytes = 1024 * 1024;

export interface SpoolUse {
  usedBytes: number;
  quotaBytes: number;
}

interface Sample {
  atMs: number;
  usedBytes: number;
}

const sampleWindowMs = 6 * 3_600_000;

/** Until when the quota is reached if it goes on as between the first and the last sample; undefined when it does not grow. */
export function quotaReachedAtMs(samples: readonly Sample[], quotaBytes: number): number | undefined {
  const [first] = samples;
  const last = samples.at(-1);
  if (!first || !last || last.atMs <= first.atMs || last.usedBytes <= first.usedBytes) return undefined;
  const bytesPerMs = (last.usedBytes - first.usedBytes) / (last.atMs - first.atMs);
  return last.atMs + Math.max(0, quotaBytes - last.usedBytes) / bytesPerMs;
}

/** One folder for all items of the agent. */
export class Spool {
  readonly folder: string;
  readonly #quotaBytes: number;
  #reservedBytes = 0;
  #samples: Sample[] = [];

  constructor(folder: string, quotaBytes: number) {
    this.folder = folder;
    this.#quotaBytes = quotaBytes;
  }

  async use(): Promise<SpoolUse> {
    let usedBytes = this.#reservedBytes;
    const names = await readdir(this.folder).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    });
    for (const name of names)
      usedBytes += (await stat(join(this.folder, name)).catch(() => ({ size: 0 }))).size;
    return { usedBytes, quotaBytes: this.#quotaBytes };
  }

  /** Makes the folder; again: no change. */
  async prepare(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
  }

  /** Room for logs of so many bytes of data, until `release`; undefined when there is none. */
  async reserve(dataBytes: number): Promise<{ release: () => void } | undefined> {
    await this.prepare();
    const wantedBytes = Math.ceil(dataBytes * overhead) + fixedOverheadBytes;
    const { usedBytes } = await this.use();
    if (usedBytes + wantedBytes > this.#quotaBytes) return undefined;
    this.#reservedBytes += wantedBytes;
    return { release: () => (this.#reservedBytes -= wantedBytes) };
  }

  /** When the quota will be reached at the rate of the last hours, for an early warning. */
  async forecast(now: Date): Promise<Date | undefined> {
    const { usedBytes } = await this.use();
    const atMs = now.getTime();
    this.#samples = this.#samples.filter(
      (sample) => sample.atMs > atMs - sampleWindowMs && sample.atMs <= atMs,
    );
    this.#samples.push({ atMs, usedBytes });
    const reachedMs = quotaReachedAtMs(this.#samples, this.#quotaBytes);
    return reachedMs === undefined ? undefined : new Date(reachedMs);
  }

  pathOf(item: string, cycle: number, disk: string): string {
    return join(this.folder, `${item}-${String(cycle).padStart(12, '0')}-${disk}.hrl`);
  }

  /** Removes logs of the item, but those that are kept. */
  async removeOthers(item: string, kept: readonly string[]): Promise<void> {
    const names = await readdir(this.folder).catch(() => []);
    const isOfItem = (name: string): boolean =>
      name.replace(/^\./, '').startsWith(`${item}-`) &&
      /^\d{12}-/.test(name.replace(/^\./, '').slice(item.length + 1));
    for (const name of names)
      if (isOfItem(name) && !kept.includes(join(this.folder, name)))
        await removeFile(join(this.folder, name));
  }
}
