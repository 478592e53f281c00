// What a request still waits for, and what its reply has brought so far.
import { answerInvalid } from './errors.ts';
import { maxPieces } from './protocol.ts';

/** A run of bytes with the flags of one metadata context. */
export interface StatusRun {
  lengthBytes: number;
  flags: number;
}

/** Which bytes of a buffer have been filled: a server must send every byte once. */
export class FilledRanges {
  #ranges: { start: number; end: number }[] = [];
  filledBytes = 0;

  /** False when a part was filled before, or the pieces are too many. */
  add(start: number, end: number): boolean {
    const found = this.#ranges.findIndex((range) => range.start >= start);
    const index = found < 0 ? this.#ranges.length : found;
    const before = this.#ranges[index - 1];
    const after = this.#ranges[index];
    const isFree = (before?.end ?? start) <= start && (after?.start ?? end) >= end;
    if (start >= end || !isFree) return false;
    this.filledBytes += end - start;
    const joined = { start, end };
    const joinsBefore = before?.end === start;
    const joinsAfter = after?.start === end;
    if (joinsBefore) joined.start = before.start;
    if (joinsAfter) joined.end = after.end;
    this.#ranges.splice(index - (joinsBefore ? 1 : 0), Number(joinsBefore) + Number(joinsAfter), joined);
    return this.#ranges.length <= maxPieces;
  }
}

/** A request in flight. `buffer` is there for reads, `status` for block status. */
export class PendingRequest {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly buffer: Buffer | undefined;
  readonly status = new Map<string, StatusRun[]>();
  readonly promise: Promise<void>;
  /** An error of this request alone; the reply goes on until it is done. */
  error: Error | undefined;
  #filled = new FilledRanges();
  #resolve: () => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(offsetBytes: number, lengthBytes: number, buffer: Buffer | undefined) {
    this.offsetBytes = offsetBytes;
    this.lengthBytes = lengthBytes;
    this.buffer = buffer;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The place in the buffer for bytes that the server sends from `offset` of the export. */
  claim(location: string, offset: bigint, lengthBytes: number): Buffer {
    const start = Number(offset - BigInt(this.offsetBytes));
    const end = start + lengthBytes;
    if (!this.buffer || start < 0 || end > this.lengthBytes)
      throw answerInvalid(location, 'NBD: bytes outside what was asked for');
    if (!this.#filled.add(start, end)) throw answerInvalid(location, 'NBD: the same bytes twice');
    return this.buffer.subarray(start, end);
  }

  /** The reply is complete. */
  finish(location: string): void {
    if (this.error) this.#reject(this.error);
    else if (this.buffer && this.#filled.filledBytes < this.lengthBytes)
      this.#reject(answerInvalid(location, `NBD: ${this.#filled.filledBytes} bytes of ${this.lengthBytes}`));
    else this.#resolve();
  }

  fail(error: Error): void {
    this.#reject(error);
  }
}
