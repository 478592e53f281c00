// Locks in memory: held until released. Nothing here can lose one; tests that need a loss wrap the port.
import { assertBlobName } from '../blobChecks.ts';
import type { LockPort } from '../ports.ts';

export function memoryLocks(): LockPort {
  const holders = new Map<string, symbol>();
  return {
    async tryAcquire(name) {
      assertBlobName(name);
      if (holders.has(name)) return undefined;
      const holder = Symbol(name);
      holders.set(name, holder);
      return {
        lost: new AbortController().signal,
        async release() {
          // A second release must not free the lock of the next holder.
          if (holders.get(name) === holder) holders.delete(name);
        },
      };
    },
  };
}
