// Files of the agent's state: replaced whole or not at all, and durable when the promise resolves.
import { open, readFile, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type * as z from 'zod';
import { AgentError } from '../agentError.ts';
import { errnoOf, readError, writeError } from '../fileErrors.ts';

/** Writes the value as JSON. A crash leaves the old file or the new one. */
export async function writeState(path: string, value: unknown): Promise<void> {
  const temporary = `${path}.part`;
  try {
    const handle = await open(temporary, 'w', 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(value, null, 1)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    throw writeError(error, path, 'The state before is kept.');
  }
}

/** Makes a rename durable; Windows does it by itself and opens no folders. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The value, or undefined when there is no file. Throws AgentError `StateInvalid` for what was not written by this version. */
export async function readState<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw readError(error, path);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(path);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalid(path);
  return parsed.data;
}

function invalid(path: string): AgentError {
  const action = 'Move it away: its machine is resynchronized, which loses nothing.';
  return new AgentError('StateInvalid', `${path} is not what this agent writes.`, action);
}

/** A file that is not there: no change. */
export async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw writeError(error, path, 'It is still there.');
  });
}
