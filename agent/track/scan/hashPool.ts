// Worker threads that digest stripes. They are started from the text of a function, so that the command stays one file.
import { hash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { coarseBytes, hashStripe, type HashedStripe } from './hashStripe.ts';

interface Job {
  bytes: Uint8Array;
  older: Uint8Array | undefined;
}

type WorkerAnswer = HashedStripe | { error: string };

/** Runs in the worker: `hashStripe` is the function above, as text. */
function workerMain(stripe: typeof hashStripe, coarse: number): void {
  const { hash: digest } = process.getBuiltinModule('node:crypto');
  const { parentPort } = process.getBuiltinModule('node:worker_threads');
  const zeros = new Uint8Array(coarse);
  const sha256 = (bytes: Uint8Array): Uint8Array => digest('sha256', bytes, 'buffer');
  parentPort?.on('message', ({ bytes, older }: Job) => {
    try {
      const answer = stripe(sha256, zeros, bytes, older);
      parentPort.postMessage(answer, [
        answer.records.buffer as ArrayBuffer,
        answer.changed.buffer as ArrayBuffer,
      ]);
    } catch (error) {
      parentPort.postMessage({ error: String(error) });
    }
  });
}

interface Lane {
  worker: Worker;
  waiting: { resolve: (answer: HashedStripe) => void; reject: (error: Error) => void }[];
}

/** Digests stripes in `workers` threads, or in this one when there are none. `close` ends the threads. */
export class HashPool implements AsyncDisposable {
  readonly #lanes: Lane[];
  readonly #zeros = new Uint8Array(coarseBytes);

  constructor(workers = 2) {
    this.#lanes = Array.from({ length: workers }, () => startLane());
  }

  /** The bytes are handed over: the caller may not use them any more. Answers come in any order between calls. */
  async digest(bytes: Uint8Array, older: Uint8Array | undefined): Promise<HashedStripe> {
    const lane = this.#lanes.reduce<Lane | undefined>(
      (least, each) => (least === undefined || each.waiting.length < least.waiting.length ? each : least),
      undefined,
    );
    if (lane === undefined)
      return hashStripe((part) => hash('sha256', part, 'buffer'), this.#zeros, bytes, older);
    return new Promise((resolve, reject) => {
      lane.waiting.push({ resolve, reject });
      // A view of a pooled buffer cannot be handed over alone; readers give buffers of their own for stripes.
      const isWhole = bytes.byteLength === bytes.buffer.byteLength;
      lane.worker.postMessage({ bytes, older }, isWhole ? [bytes.buffer as ArrayBuffer] : []);
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map(({ worker }) => worker.terminate()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function startLane(): Lane {
  const code = `(${workerMain.toString()})(${hashStripe.toString()}, ${coarseBytes});`;
  const worker = new Worker(code, { eval: true, execArgv: [] });
  // An idle pool keeps no process alive.
  worker.unref();
  const lane: Lane = { worker, waiting: [] };
  worker.on('message', (answer: WorkerAnswer) => {
    const next = lane.waiting.shift();
    if ('error' in answer) next?.reject(new Error(answer.error));
    else next?.resolve(answer);
  });
  worker.on('error', (error) => {
    for (const { reject } of lane.waiting.splice(0)) reject(error);
  });
  return lane;
}
