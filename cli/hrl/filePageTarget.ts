// A file as the target of a merge. Nothing is made durable before `sync`; applying the log again after a crash
// completes what was begun. Writes are made at once, not through the thread pool: most are small and end in the page
// cache, where handing them over costs several times what they take. The merge reads between its windows, so the
// process still hears signals.
import type { FileHandle } from 'node:fs/promises';
import { writeFully, writeFullySync } from '../../agent/fileWrite.ts';
import type { PageTarget } from '../../lib/merge/apply.ts';

const clearChunkBytes = 1024 * 1024;
const zeros = new Uint8Array(clearChunkBytes);

/** Bytes go to the same offsets of the file. The file must reach as far as the writes do. */
export function filePageTarget(handle: FileHandle): PageTarget {
  return {
    async writePages(offsetBytes, data) {
      writeFullySync(handle.fd, offsetBytes, data);
    },
    async clearPages({ offsetBytes, lengthBytes }) {
      const found = Buffer.allocUnsafe(Math.min(clearChunkBytes, lengthBytes));
      for (let done = 0; done < lengthBytes; done += clearChunkBytes) {
        const length = Math.min(clearChunkBytes, lengthBytes - done);
        const { bytesRead } = await handle.read(found, 0, length, offsetBytes + done);
        // What reads as zeros stays as it is, so that holes of a sparse file stay holes.
        const isZero =
          bytesRead === length && Buffer.compare(found.subarray(0, length), zeros.subarray(0, length)) === 0;
        if (!isZero) await writeFully(handle, offsetBytes + done, zeros.subarray(0, length));
      }
    },
  };
}
