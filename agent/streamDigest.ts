// The sha256 of bytes that come in pieces: on this thread, or on one of its own where that pays.
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { DigestThread } from './digestThread.ts';

/** Starting a thread takes as long as hashing about this much. */
const threadWorthBytes = 64 * 1024 * 1024;
/** How long a thread waits for the next digest: the disks of a machine come one after another. */
const idleMs = 5000;
let idleThread: DigestThread | undefined;

/** One digest. To be disposed when it is no longer needed, whether it was ended or not. */
export interface StreamDigest extends AsyncDisposable {
  /** Takes the next bytes; they may not change before the promise resolved. Calls need not wait for each other. */
  update(bytes: Uint8Array<SharedArrayBuffer>): Promise<void>;
  /** The digest of everything, lower-case hex. Once, after the last update was called. */
  digest(): Promise<string>;
}

/** A digest of about so many bytes. */
export function startDigest(totalBytes: number): StreamDigest {
  const isThreadWorth = totalBytes >= threadWorthBytes && availableParallelism() > 1;
  return isThreadWorth ? digestOnThread() : digestHere();
}

function digestOnThread(): StreamDigest {
  const thread = idleThread ?? new DigestThread();
  idleThread = undefined;
  thread.setIdle(false);
  return {
    update: (bytes) => thread.update(bytes),
    digest: () => thread.digest(),
    async [Symbol.asyncDispose]() {
      if (!thread.isFree || idleThread !== undefined) return thread.end();
      idleThread = thread;
      thread.setIdle(true);
      setTimeout(() => {
        if (idleThread !== thread) return;
        idleThread = undefined;
        void thread.end();
      }, idleMs).unref();
    },
  };
}

function digestHere(): StreamDigest {
  const hash = createHash('sha256');
  return {
    async update(bytes) {
      hash.update(bytes);
    },
    digest: async () => hash.digest('hex'),
    [Symbol.asyncDispose]: async () => undefined,
  };
}
