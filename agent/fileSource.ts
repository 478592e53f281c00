// A regular file as a RandomAccessSource. The size is that of the moment of opening; a file that shrinks meanwhile
// makes a read fail instead of returning fewer bytes.
import { open, type FileHandle } from 'node:fs/promises';
import type { RandomAccessSource } from '../lib/disk/source.ts';
import { AgentError } from './agentError.ts';
import { readError } from './fileErrors.ts';

/** An open file. `close` may be called twice. */
export interface FileSource extends RandomAccessSource, AsyncDisposable {
  readonly path: string;
  close(): Promise<void>;
}

async function readFully(
  handle: FileHandle,
  path: string,
  offsetBytes: number,
  lengthBytes: number,
): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(lengthBytes);
  let done = 0;
  while (done < lengthBytes) {
    const { bytesRead } = await handle.read(bytes, done, lengthBytes - done, offsetBytes + done);
    if (bytesRead === 0) {
      const message = `${path} ended at ${offsetBytes + done} while it was read up to ${offsetBytes + lengthBytes}.`;
      throw new AgentError('FileUnreadable', message, 'Nothing may truncate the file while it is read.');
    }
    done += bytesRead;
  }
  return bytes;
}

/** Opens a file for reading. Throws AgentError `FileNotFound` or `FileUnreadable`. */
export async function openFileSource(path: string): Promise<FileSource> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    throw readError(error, path);
  }
  const stats = await handle.stat();
  if (!stats.isFile()) {
    await handle.close();
    const message = `${path} is no regular file.`;
    throw new AgentError(
      'FileUnreadable',
      message,
      'Give the path of a file; copy a device or pipe to one first.',
    );
  }
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= handle.close());
  return {
    path,
    sizeBytes: stats.size,
    async read(offsetBytes, lengthBytes) {
      if (offsetBytes < 0 || lengthBytes < 0 || offsetBytes + lengthBytes > stats.size)
        throw new RangeError(
          `${path}: read [${offsetBytes}, ${offsetBytes + lengthBytes}) of ${stats.size} bytes`,
        );
      try {
        return await readFully(handle, path, offsetBytes, lengthBytes);
      } catch (error) {
        throw readError(error, path);
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
