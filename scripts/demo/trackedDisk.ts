// A disk of the demo's source machine: a raw image that only this object writes. Every write is remembered by a change
// tracker, as a filter driver would do it, also when it puts back what was there.
import { copyFile, open, type FileHandle } from 'node:fs/promises';
import { ExtentTracker } from '../../agent/extentTracker.ts';
import { openFileSource, type FileSource } from '../../agent/fileSource.ts';
import { writeFully } from '../../agent/fileWrite.ts';
import type { HrlWrite } from '../../lib/hrl/writer.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';

/** A disk that changes. `close` ends it. */
export class TrackedDisk {
  readonly id: string;
  readonly path: string;
  readonly source: FileSource;
  readonly #handle: FileHandle;
  readonly #tracker: ExtentTracker;

  private constructor(id: string, path: string, source: FileSource, handle: FileHandle) {
    this.id = id;
    this.path = path;
    this.source = source;
    this.#handle = handle;
    this.#tracker = new ExtentTracker(source.sizeBytes);
  }

  /** Takes over an image file; nothing else may write it from now on. */
  static async open(id: string, path: string): Promise<TrackedDisk> {
    return new TrackedDisk(id, path, await openFileSource(path), await open(path, 'r+'));
  }

  get sizeBytes(): number {
    return this.source.sizeBytes;
  }

  async write({ diskOffset, data }: HrlWrite): Promise<void> {
    // Remembered first: a crash in between makes the log too long, never too short.
    this.#tracker.add({ offsetBytes: diskOffset, lengthBytes: data.length });
    await writeFully(this.#handle, diskOffset, data);
  }

  /** Copies the disk as it is now and returns what was written since the last freeze. Nobody writes meanwhile. */
  async freeze(copyPath: string): Promise<ByteRange[]> {
    const extents = this.#tracker.take();
    await copyFile(this.path, copyPath);
    return extents;
  }

  async close(): Promise<void> {
    await this.source.close();
    await this.#handle.close();
  }
}
