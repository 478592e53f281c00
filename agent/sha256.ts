// SHA-256 of bytes that come in pieces: on the calling thread, or on one of its own, so that a long log is hashed while it
// is read and written. Both give the same digest.
import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';

/** One digest. Pieces are given in order; `digest` is called once, after the last of them. */
export interface Sha256 {
  /** The piece must not change until the promise resolved. Over shared memory, it is not copied between threads. */
  update(piece: Uint8Array): Promise<void>;
  /** Lower-case hex. */
  digest(): Promise<string>;
  /** Ends the thread, if there is one; for a digest that is not wanted. May be called twice. */
  close(): void;
}

export function sha256Here(): Sha256 {
  const hash = createHash('sha256');
  return {
    update: async (piece) => void hash.update(piece),
    digest: async () => hash.digest('hex'),
    close: () => undefined,
  };
}

// As text, because the program is bundled into one file; the messages are below.
const threadProgram = `
const { parentPort } = require('node:worker_threads');
const hash = require('node:crypto').createHash('sha256');
parentPort.on('message', (piece) => {
  if (piece === 'digest') parentPort.postMessage(hash.digest('hex'));
  else {
    hash.update(piece);
    parentPort.postMessage('updated');
  }
});`;

/** Starts the thread. It keeps the process alive only while somebody waits for it. */
export function sha256OnThread(): Sha256 {
  const worker = new Worker(threadProgram, { eval: true, execArgv: [] });
  worker.unref();
  // Answers come in the order of the messages.
  const waiting: { resolve: (answer: string) => void; reject: (error: unknown) => void }[] = [];
  let failure: { error: unknown } | undefined;
  const fail = (error: unknown): void => {
    failure ??= { error };
    for (const { reject } of waiting.splice(0)) reject(failure.error);
  };
  worker.on('message', (answer: string) => {
    waiting.shift()?.resolve(answer);
    if (waiting.length === 0) worker.unref();
  });
  worker.on('error', fail);
  worker.on('exit', () => fail(new Error('The hashing thread has ended.')));
  const ask = async (message: unknown): Promise<string> => {
    if (failure !== undefined) throw failure.error;
    return new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      worker.ref();
      worker.postMessage(message);
    });
  };
  return {
    async update(piece) {
      await ask(piece);
    },
    async digest() {
      const digest = await ask('digest');
      void worker.terminate();
      return digest;
    },
    close: () => void worker.terminate(),
  };
}
