// Scratch space in a folder of the instance, such as its temporary one. A file loses its name as soon as it is open, so
// that whatever ends the process, nothing is left behind.
import { randomUUID } from 'node:crypto';
import { open, statfs, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { ScratchFile, ScratchSpace } from '../lib/merge/scratch.ts';

/** Not worth a file below this. */
const leastBytes = 1024 * 1024;
/** File systems that keep their files in memory, by the numbers that Linux gives them: tmpfs, ramfs. */
const memoryFileSystems = [0x01021994, 0x858458f6];

/** Takes at most `limitBytes` for all files together, half of what is free for one, and nothing where files are in memory. */
export function scratchFolder(folder: string, limitBytes: number): ScratchSpace {
  let usedBytes = 0;
  return {
    async open(sizeBytes) {
      const { type, bavail, bsize } = await statfs(folder);
      if (memoryFileSystems.includes(type)) return undefined;
      const roomBytes = Math.min(sizeBytes, limitBytes - usedBytes, Math.floor((bavail * bsize) / 2));
      if (roomBytes < Math.min(leastBytes, sizeBytes)) return undefined;
      usedBytes += roomBytes;
      try {
        const handle = await openNameless(join(folder, `lifeboat-${randomUUID()}`));
        return scratchFile(handle, roomBytes, () => (usedBytes -= roomBytes));
      } catch (error) {
        usedBytes -= roomBytes;
        throw error;
      }
    },
  };
}

async function openNameless(path: string): Promise<FileHandle> {
  const handle = await open(path, 'wx+', 0o600);
  try {
    await unlink(path);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function scratchFile(handle: FileHandle, sizeBytes: number, release: () => void): ScratchFile {
  let closed: Promise<void> | undefined;
  return {
    sizeBytes,
    async write(offsetBytes, data) {
      for (let done = 0; done < data.length;)
        done += (await handle.write(data, done, data.length - done, offsetBytes + done)).bytesWritten;
    },
    async read(offsetBytes, target) {
      for (let done = 0; done < target.length;) {
        const { bytesRead } = await handle.read(target, done, target.length - done, offsetBytes + done);
        if (bytesRead === 0)
          throw new RangeError(`scratch file: nothing was written at ${offsetBytes + done}`);
        done += bytesRead;
      }
    },
    close: () =>
      (closed ??= handle
        .close()
        .catch(() => undefined)
        .then(release)),
  };
}
