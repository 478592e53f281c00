// Worker threads that digest stripes. They are started from the text of functions, so that the command stays one file.
import { Worker } from 'node:worker_threads';
import { hashStripe, type HashedStripe } from './hashStripe.ts';
import { makeStripeDigests } from './stripeDigests.ts';

/** One stripe for the pool. */
export interface StripeJob {
  /** Secret of the disk's digests. */
  key: Uint8Array;
  /** Nobody changes them before the answer. */
  bytes: Uint8Array;
  /** Records of the state before. */
  older: Uint8Array | undefined;
}

type WorkerAnswer = HashedStripe | { error: string };

/** Runs in the worker: the arguments are the functions of those names, as text. */
function workerMain(stripe: typeof hashStripe, makeDigests: typeof makeStripeDigests): void {
  const { parentPort } = process.getBuiltinModule('node:worker_threads');
  parentPort?.on('message', ({ key, bytes, older }: StripeJob) => {
    try {
      const answer = stripe(makeDigests(key), bytes, older);
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

  constructor(workers = 2) {
    this.#lanes = Array.from({ length: workers }, () => startLane());
  }

  /** Answers come in any order between calls. Bytes in shared memory are read where they are, others are copied. */
  async digest(job: StripeJob): Promise<HashedStripe> {
    const lane = this.#lanes.reduce<Lane | undefined>(
      (least, each) => (least === undefined || each.waiting.length < least.waiting.length ? each : least),
      undefined,
    );
    if (lane === undefined) return hashStripe(makeStripeDigests(job.key), job.bytes, job.older);
    return new Promise((resolve, reject) => {
      lane.waiting.push({ resolve, reject });
      lane.worker.postMessage(job);
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
  const code = `(${workerMain.toString()})(${hashStripe.toString()}, ${makeStripeDigests.toString()});`;
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
