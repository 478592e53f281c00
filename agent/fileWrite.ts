// Positioned writes that write everything: the system may take fewer bytes than it was given.
import { writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

/** Writes all of `data` at `offsetBytes`. Throws the system's error; part of the data may be written then. */
export async function writeFully(handle: FileHandle, offsetBytes: number, data: Uint8Array): Promise<void> {
  let done = 0;
  while (done < data.length) {
    const { bytesWritten } = await handle.write(data, done, data.length - done, offsetBytes + done);
    done += bytesWritten;
  }
}

/** The same on the calling thread, until the system has taken all of it. */
export function writeFullySync(fd: number, offsetBytes: number, data: Uint8Array): void {
  let done = 0;
  while (done < data.length) done += writeSync(fd, data, done, data.length - done, offsetBytes + done);
}
