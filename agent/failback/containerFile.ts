// The file or device of a disk, open for writing: the few operations that writing takes, in one place, so that tests can
// stop between any two of them.
import type { FileHandle } from 'node:fs/promises';
import { readFully, type ImageBytes } from '../disk/imageFile.ts';
import { writeError } from '../fileErrors.ts';
import { writeFully } from '../fileWrite.ts';

/** Reads see what was written. Until `flush`, a crash may lose any part of what was done since the last one. */
export interface ContainerFile extends ImageBytes {
  /** As of the last `setSize`; 0 for a device. */
  readonly sizeBytes: number;
  /** Inside the file. Throws AgentError `OutputFull` or `OutputUnwritable`; a part of it may be written then. */
  write(offsetBytes: number, bytes: Uint8Array): Promise<void>;
  /** What the file gains reads as zeros. */
  setSize(sizeBytes: number): Promise<void>;
  /** Contents and size are durable when it resolves. */
  flush(): Promise<void>;
}

/** The handle stays the caller's. `leftBehind` is the sentence of errors that says what a failure leaves. */
export async function containerFile(
  handle: FileHandle,
  { path, leftBehind }: { path: string; leftBehind: string },
): Promise<ContainerFile> {
  let { size: sizeBytes } = await handle.stat();
  const mapped = async (work: Promise<void>): Promise<void> =>
    work.catch((error: unknown) => {
      throw writeError(error, path, leftBehind);
    });
  const readInto = (target: Uint8Array, offsetBytes: number): Promise<void> =>
    readFully(handle, path, target, offsetBytes);
  return {
    path,
    get sizeBytes() {
      return sizeBytes;
    },
    readInto,
    async read(offsetBytes, lengthBytes) {
      const bytes = Buffer.allocUnsafe(lengthBytes);
      await readInto(bytes, offsetBytes);
      return bytes;
    },
    write: (offsetBytes, bytes) => mapped(writeFully(handle, offsetBytes, bytes)),
    async setSize(newSizeBytes) {
      await mapped(handle.truncate(newSizeBytes));
      sizeBytes = newSizeBytes;
    },
    // Not datasync: what follows relies on the new size, whatever a file system takes for data.
    flush: () => mapped(handle.sync()),
  };
}
