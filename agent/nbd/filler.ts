// Cuts a byte stream into the pieces that a parser asks for, one after another and without waiting: payload goes from the
// socket's buffer into its place with one copy. A promise for each header would cost most of the throughput.

/** Most bytes that may wait while nobody asks for them: a server that talks without being asked. */
const maxWaitingBytes = 1024 * 1024;

export class StreamFiller {
  #target: Buffer | undefined;
  #filledBytes = 0;
  #then: ((target: Buffer) => void) | undefined;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;

  /** Fills `target` with the next bytes, then calls `then`, which may ask for more. One at a time. */
  expect(target: Buffer, then: (target: Buffer) => void): void {
    this.#target = target;
    this.#filledBytes = 0;
    this.#then = then;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (target.length === 0) this.#finish(target);
    for (const bytes of waiting) this.feed(bytes);
  }

  /** Takes bytes of the stream; they may be overwritten afterwards. Throws RangeError when too many were not asked for. */
  feed(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) {
      const target = this.#target;
      if (!target) {
        this.#waitingBytes += rest.length;
        if (this.#waitingBytes > maxWaitingBytes) throw new RangeError('bytes that nobody asked for');
        this.#waiting.push(Buffer.from(rest));
        return;
      }
      const count = rest.copy(target, this.#filledBytes, 0, target.length - this.#filledBytes);
      this.#filledBytes += count;
      rest = rest.subarray(count);
      if (this.#filledBytes === target.length) this.#finish(target);
    }
  }

  #finish(target: Buffer): void {
    const then = this.#then;
    this.#target = undefined;
    this.#then = undefined;
    then?.(target);
  }
}
