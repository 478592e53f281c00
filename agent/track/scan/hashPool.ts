// Worker threads that digest stripes. They are started from the text of functions, so that the command stays one file.
import { Worker } from 'node:worker_threads';
import type { FilePlace } from '../../disk/reader.ts';
import { filePieces, pieceBytes } from './filePieces.ts';
import { hashStripe, type HashedStripe } from './hashStripe.ts';
import { makeStripeDigests } from './stripeDigests.ts';

/** One stripe for the pool. */
export interface StripeJob {
  /** Secret of the disk's digests. */
  key: Uint8Array;
  /** Records of the state before. */
  older: Uint8Array | undefined;
}

/** A stripe that was read. */
export interface LoadedStripeJob extends StripeJob {
  /** Nobody changes them before the answer. */
  bytes: Uint8Array;
}

/** A stripe that the thread reads by itself. */
export interface FileStripeJob extends StripeJob {
  place: FilePlace;
  lengthBytes: number;
}

/** What a thread says of a stripe that it has read. */
export interface FileStripe extends HashedStripe {
  /** Whether this process read from a disk meanwhile, and not from memory alone. On Windows always. */
  isFromDisk: boolean;
}

type WorkerAnswer = FileStripe | { error: string };

/** What the worker gets of other modules. */
interface WorkerParts {
  stripe: typeof hashStripe;
  makeDigests: typeof makeStripeDigests;
  pieces: typeof filePieces;
  pieceBytes: number;
}

/** Runs in the worker; the functions are there as text. */
function workerMain(parts: WorkerParts): void {
  const { parentPort } = process.getBuiltinModule('node:worker_threads');
  // Not at the beginning of a page: see lib/disk/readBuffer.ts.
  const buffer = new Uint8Array(new ArrayBuffer(parts.pieceBytes + 128), 128);
  let key: Uint8Array = new Uint8Array(16);
  let digests = parts.makeDigests(key);
  const diskReads = (): number => process.resourceUsage().fsRead;
  parentPort?.on('message', (job: LoadedStripeJob | FileStripeJob) => {
    try {
      if (Buffer.compare(key, job.key) !== 0) digests = parts.makeDigests((key = job.key));
      const readsBefore = diskReads();
      const [lengthBytes, bytesAt] =
        'bytes' in job
          ? [job.bytes.length, (from: number, to: number) => job.bytes.subarray(from, to)]
          : [job.lengthBytes, parts.pieces(job.place, job.lengthBytes, buffer)];
      const { records, changed } = parts.stripe(digests, lengthBytes, bytesAt, job.older);
      const isFromDisk = diskReads() > readsBefore;
      parentPort.postMessage({ records, changed, isFromDisk }, [
        records.buffer as ArrayBuffer,
        changed.buffer as ArrayBuffer,
      ]);
    } catch (error) {
      parentPort.postMessage({ error: String(error) });
    }
  });
}

interface Lane {
  worker: Worker;
  waiting: { resolve: (answer: FileStripe) => void; reject: (error: Error) => void }[];
}

/** Digests stripes in `workers` threads, or in this one when there are none. `close` ends the threads. */
export class HashPool implements AsyncDisposable {
  readonly #lanes: Lane[];

  constructor(workers = 2) {
    this.#lanes = Array.from({ length: workers }, () => startLane());
  }

  /** Whether there are threads that may wait for a file. */
  get mayRead(): boolean {
    return this.#lanes.length > 0;
  }

  /** Answers come in any order between calls. Bytes in shared memory are read where they are, others are copied. */
  async digest(job: LoadedStripeJob): Promise<HashedStripe> {
    if (this.#lanes.length > 0) return this.#run(job);
    const { key, bytes, older } = job;
    return hashStripe(makeStripeDigests(key), bytes.length, (from, to) => bytes.subarray(from, to), older);
  }

  /** A thread reads the stripe, which must be whole. Rejects with an Error when it cannot, or when there is no thread. */
  async digestFile(job: FileStripeJob): Promise<FileStripe> {
    return this.#run(job);
  }

  #run(job: LoadedStripeJob | FileStripeJob): Promise<FileStripe> {
    const lane = this.#lanes.reduce<Lane | undefined>(
      (least, each) => (least === undefined || each.waiting.length < least.waiting.length ? each : least),
      undefined,
    );
    return new Promise((resolve, reject) => {
      if (lane === undefined) {
        reject(new Error('The pool has no threads.'));
        return;
      }
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
  const parts = `stripe: ${hashStripe.toString()}, makeDigests: ${makeStripeDigests.toString()}, pieces: ${filePieces.toString()}`;
  const code = `(${workerMain.toString()})({ ${parts}, pieceBytes: ${pieceBytes} });`;
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
