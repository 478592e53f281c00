// Writing a new file so that it is there whole or not at all: everything goes to a temporary name beside it, which is
// flushed and renamed at the end, and removed when anything fails. What a process that was killed leaves is a hidden file
// `.NAME.….part`, which nobody takes for the file.
import { randomBytes } from 'node:crypto';
import { open, realpath, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AgentError } from './agentError.ts';
import { EarlySync } from './earlySync.ts';
import { errnoOf, writeError } from './fileErrors.ts';
import { writeFully } from './fileWrite.ts';

/** Written between two beginnings of making it durable. */
const syncBytes = 16 * 1024 * 1024;
const nothingLeft = 'Nothing was left behind.';

/**
 * Refuses to replace what is no regular file, and files at all unless `replace`: AgentError `OutputUnwritable` and
 * `FileExists`. For those who have much to do before they write, too.
 */
export async function requireReplaceable(path: string, replace: boolean): Promise<void> {
  const existing = await stat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw writeError(error, path, nothingLeft);
  });
  if (existing === undefined) return;
  if (!existing.isFile()) {
    const message = `${path} exists and is no regular file.`;
    throw new AgentError('OutputUnwritable', message, 'Give the path of a file to be made.');
  }
  if (!replace)
    throw new AgentError('FileExists', `${path} exists already.`, 'Give another path, or --force.');
}

/** What the writer of a new file gets. */
export interface OutputSink {
  /**
   * Writes at any place; a write may begin before another one, of another range, has ended. The data may be reused after
   * the promise resolved.
   */
  write(offsetBytes: number, data: Uint8Array): Promise<void>;
  /** Where the bytes already are. */
  readonly temporaryPath: string;
}

/**
 * Runs `write` on a new file and puts it in place of `path` when it succeeded and everything is durable; where `path` is a link,
 * in place of what it points at. After any error, an abort included, neither a partial file nor a temporary one is left.
 * Throws AgentError `OutputFull`, `OutputUnwritable`, `FileExists`.
 */
export async function writeOutputFile<T>(
  path: string,
  { replace = false }: { replace?: boolean },
  write: (sink: OutputSink) => Promise<T>,
): Promise<T> {
  return makeOutputFile(path, { replace }, async (handle, temporaryPath) => {
    const sync = new EarlySync(handle, syncBytes);
    try {
      const result = await write({
        temporaryPath,
        async write(offsetBytes, data) {
          await writeFully(handle, offsetBytes, data);
          sync.note(data.length);
        },
      });
      await sync.finish();
      return result;
    } finally {
      // Nothing works on the file behind the back of whoever closes it.
      await sync.settle();
    }
  });
}

/** The same for those who write, and read, with a handle of their own and make what they wrote durable themselves. */
export async function makeOutputFile<T>(
  path: string,
  { replace = false }: { replace?: boolean },
  write: (handle: FileHandle, temporaryPath: string) => Promise<T>,
): Promise<T> {
  await requireReplaceable(path, replace);
  const target = await realpath(path).catch(() => path);
  const temporaryPath = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.part`);
  let handle: FileHandle | undefined;
  try {
    handle = await open(temporaryPath, 'wx+');
    const result = await write(handle, temporaryPath);
    await handle.close();
    handle = undefined;
    await rename(temporaryPath, target);
    return result;
  } catch (error) {
    await handle?.close().catch(() => undefined);
    await unlink(temporaryPath).catch(() => undefined);
    throw writeError(error, path, nothingLeft);
  }
}
