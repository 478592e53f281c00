// Making a file durable while it is still being written: the device works on the first part while the next is made, and
// the end waits for the rest only.
import type { FileHandle } from 'node:fs/promises';

export class EarlySync {
  readonly #handle: FileHandle;
  readonly #everyBytes: number;
  #writtenBytes = 0;
  #running: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;

  /** Begins after every so many bytes, unless the one before still runs; never with Infinity. */
  constructor(handle: FileHandle, everyBytes: number) {
    this.#handle = handle;
    this.#everyBytes = everyBytes;
  }

  /** To be called when that many bytes were written. */
  note(lengthBytes: number): void {
    this.#writtenBytes += lengthBytes;
    if (this.#writtenBytes < this.#everyBytes || this.#running !== undefined) return;
    this.#writtenBytes = 0;
    this.#running = this.#handle.datasync().then(
      () => {
        this.#running = undefined;
      },
      (error: unknown) => {
        this.#failure ??= { error };
      },
    );
  }

  /** Resolves when nothing is in flight any more. Does not throw. */
  async settle(): Promise<void> {
    await this.#running;
  }

  /**
   * Resolves when everything written so far is durable, the size of the file included. Throws the first failure: the
   * system reports one only once, so a later success proves nothing.
   */
  async finish(): Promise<void> {
    await this.settle();
    if (this.#failure !== undefined) throw this.#failure.error;
    await this.#handle.datasync();
  }
}
