// A file or block device that holds a disk image. It is opened for reading only, whatever happens.
import { constants, type BigIntStats } from 'node:fs';
import { open, readFile, realpath, type FileHandle } from 'node:fs/promises';
import { AgentError } from '../agentError.ts';
import { readError } from '../fileErrors.ts';
import { imageCorrupt } from './errors.ts';

/** An open image file. Reads may run at the same time. */
export interface ImageFile extends AsyncDisposable {
  /** Absolute, symbolic links resolved. */
  readonly path: string;
  /** Of the file or device, not of the disk. */
  readonly sizeBytes: number;
  readonly isDevice: boolean;
  /** Of the open file, until it is closed; undefined where there is none. */
  readonly fd?: number | undefined;
  /** Changes whenever the file is written, as far as its file system tells. */
  readonly versionText: string;
  /** Fills `target` from `offsetBytes`. Throws AgentError; `DiskImageCorrupt` when the file ends before. */
  readInto(target: Uint8Array, offsetBytes: number): Promise<void>;
  read(offsetBytes: number, lengthBytes: number): Promise<Buffer>;
  /** May be called twice. */
  close(): Promise<void>;
}

/** What the structures of an image are read from. */
export type ImageBytes = Pick<ImageFile, 'path' | 'sizeBytes' | 'readInto' | 'read'>;

const sysfsSectorBytes = 512;

async function deviceSizeBytes(path: string, rdev: bigint): Promise<number> {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  try {
    // Always in 512-byte units, whatever the sectors of the device.
    const sectors = await readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8');
    return Number(sectors.trim()) * sysfsSectorBytes;
  } catch (error) {
    const action = 'Export the device with an NBD server and name that.';
    throw new AgentError('FileUnreadable', `The size of the device ${path} cannot be found.`, action, {
      cause: error,
    });
  }
}

async function sizeOf(path: string, stats: BigIntStats): Promise<number> {
  if (stats.isFile()) return Number(stats.size);
  if (stats.isBlockDevice()) return deviceSizeBytes(path, stats.rdev);
  const action = 'Give the path of an image file or of a block device.';
  throw new AgentError('FileUnreadable', `${path} is no regular file and no block device.`, action);
}

/** Fills the target from an open file. Throws as `ImageFile.readInto`. */
export async function readFully(
  handle: FileHandle,
  path: string,
  target: Uint8Array,
  offsetBytes: number,
): Promise<void> {
  let done = 0;
  while (done < target.length) {
    const { bytesRead } = await handle
      .read(target, done, target.length - done, offsetBytes + done)
      .catch((error: unknown) => {
        throw readError(error, path);
      });
    if (bytesRead === 0)
      throw imageCorrupt(
        path,
        `ends at ${offsetBytes + done}, inside [${offsetBytes}, ${offsetBytes + target.length})`,
      );
    done += bytesRead;
  }
}

/** Opens an image for reading. Throws AgentError `FileNotFound` or `FileUnreadable`. */
export async function openImageFile(path: string): Promise<ImageFile> {
  let handle: FileHandle;
  let real: string;
  try {
    real = await realpath(path);
    // Not blocking, so that a pipe in the place of an image is refused instead of waited for.
    handle = await open(real, constants.O_RDONLY | (process.platform === 'win32' ? 0 : constants.O_NONBLOCK));
  } catch (error) {
    throw readError(error, path);
  }
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= handle.close());
  try {
    const stats = await handle.stat({ bigint: true });
    const sizeBytes = await sizeOf(path, stats);
    const readInto = (target: Uint8Array, offsetBytes: number): Promise<void> =>
      readFully(handle, path, target, offsetBytes);
    return {
      path: real,
      sizeBytes,
      isDevice: stats.isBlockDevice(),
      fd: handle.fd,
      versionText: stats.isBlockDevice() ? `device ${stats.rdev}` : `${stats.mtimeNs}`,
      readInto,
      async read(offsetBytes, lengthBytes) {
        const bytes = Buffer.allocUnsafe(lengthBytes);
        await readInto(bytes, offsetBytes);
        return bytes;
      },
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
