// Positioned writes that write everything: the system may take fewer bytes than it was given.
import type { FileHandle } from 'node:fs/promises';

/** Writes all of `data` at `offsetBytes`. Throws the system's error; part of the data may be written then. */
export async function writeFully(handle: FileHandle, offsetBytes: number, data: Uint8Array): Promise<void> {
  let done = 0;
  while (done < data.length) {
    const { bytesWritten } = await handle.write(data, done, data.length - done, offsetBytes + done);
    done += bytesWritten;
  }
}
