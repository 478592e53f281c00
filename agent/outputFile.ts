// Writing a new file so that it is there whole or not at all: everything goes to a temporary name beside it, which is
// flushed and renamed at the end, and removed when anything fails.
import { randomBytes } from 'node:crypto';
import { open, rename, stat, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AgentError } from './agentError.ts';
import { EarlySync } from './earlySync.ts';
import { errnoOf, writeError } from './fileErrors.ts';
import { writeFully } from './fileWrite.ts';

/** Written between two beginnings of making it durable. */
const syncBytes = 16 * 1024 * 1024;
const nothingLeft = 'Nothing was left behind.';

/** Refuses to replace what is no regular file, and files at all unless `replace`. */
async function requireReplaceable(path: string, replace: boolean): Promise<void> {
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
 * Runs `write` on a new file and puts it in place of `path` when it succeeded. After any error, an abort included,
 * neither a partial file nor a temporary one is left. Throws AgentError `OutputFull`, `OutputUnwritable`, `FileExists`.
 */
export async function writeOutputFile<T>(
  path: string,
  { replace = false }: { replace?: boolean },
  write: (sink: OutputSink) => Promise<T>,
): Promise<T> {
  await requireReplaceable(path, replace);
  const temporaryPath = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.part`);
  let handle: FileHandle | undefined;
  let sync: EarlySync | undefined;
  try {
    const opened = await open(temporaryPath, 'wx');
    handle = opened;
    sync = new EarlySync(opened, syncBytes);
    const early = sync;
    const result = await write({
      temporaryPath,
      async write(offsetBytes, data) {
        await writeFully(opened, offsetBytes, data);
        early.note(data.length);
      },
    });
    await early.finish();
    await opened.close();
    handle = undefined;
    await rename(temporaryPath, path);
    return result;
  } catch (error) {
    await sync?.settle();
    await handle?.close().catch(() => undefined);
    await unlink(temporaryPath).catch(() => undefined);
    throw writeError(error, path, nothingLeft);
  }
}
