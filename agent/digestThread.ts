// A thread that takes sha256 digests, one after another: hashing costs more processor time than reading and writing
// together. It is started from the text of a function, so that the command stays one file.
import { Worker } from 'node:worker_threads';

/** Bytes to take into the digest; null asks for its end. */
type Question = Uint8Array | null;
/** `true`: the bytes of the question were taken. The end is answered with the digest. */
type Answer = true | string;

/** Runs in the thread, as text. */
function threadMain(): void {
  const { createHash } = process.getBuiltinModule('node:crypto');
  const { parentPort } = process.getBuiltinModule('node:worker_threads');
  let hash = createHash('sha256');
  parentPort?.on('message', (bytes: Question) => {
    if (bytes !== null) {
      hash.update(bytes);
      parentPort.postMessage(true);
      return;
    }
    parentPort.postMessage(hash.digest('hex'));
    hash = createHash('sha256');
  });
}

interface Waiting {
  resolve: (answer: Answer) => void;
  reject: (error: Error) => void;
}

/** A digest ends with `digest`; the next update begins another one. Both throw what ended the thread. */
export class DigestThread {
  readonly #worker = new Worker(`(${threadMain.toString()})();`, { eval: true, execArgv: [] });
  readonly #waiting: Waiting[] = [];
  #end: Error | undefined;
  #isBetween = true;

  constructor() {
    this.#worker.on('message', (answer: Answer) => this.#waiting.shift()?.resolve(answer));
    this.#worker.on('error', (error: Error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(new Error('The thread that takes the digest has ended.')));
  }

  /** Whether it lives, and has ended what it began. */
  get isFree(): boolean {
    return this.#end === undefined && this.#isBetween;
  }

  /** Whether the process may end without it. */
  setIdle(isIdle: boolean): void {
    if (isIdle) this.#worker.unref();
    else this.#worker.ref();
  }

  /** Takes the next bytes; they may not change before the promise resolved. Calls need not wait for each other. */
  async update(bytes: Uint8Array<SharedArrayBuffer>): Promise<void> {
    this.#isBetween = false;
    await this.#ask(bytes);
  }

  /** Of everything since the one before, lower-case hex. */
  async digest(): Promise<string> {
    const digest = await this.#ask(null);
    this.#isBetween = true;
    return String(digest);
  }

  /** What still waits for it throws. */
  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  async #ask(question: Question): Promise<Answer> {
    if (this.#end !== undefined) throw this.#end;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(question);
    });
  }

  #fail(error: Error): void {
    this.#end ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#end);
  }
}
