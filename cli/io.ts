// Everything of the process that a command may touch, so that tests call `run` with streams of their own.
import { resolve } from 'node:path';
import { addAbortSignal, type Readable, type Writable } from 'node:stream';
import { UsageError } from './failure.ts';

export interface Io {
  /** Results. `isTTY` as on a terminal's stream. */
  stdout: Writable & { isTTY?: boolean };
  /** Errors and progress. */
  stderr: Writable & { isTTY?: boolean };
  stdin: Readable;
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  /** The clock of what is shown while something works, in milliseconds; that of the system when it is left out. */
  now?: () => number;
  /** Aborts when the user interrupts. */
  signal: AbortSignal;
}

/** Outputs that could not be written. */
const unread = new WeakSet<Writable>();

/**
 * Writes to stdout no faster than it is read. Once nobody reads (`| head`) nothing is written and nothing thrown: what the
 * command does goes on, so that its exit code is the truth for a script that looked at a part of the output.
 */
export async function print({ stdout }: Pick<Io, 'stdout'>, text: string): Promise<void> {
  if (unread.has(stdout)) return;
  await new Promise<void>((resolve) => {
    stdout.write(text, (error) => {
      if (error) unread.add(stdout);
      resolve();
    });
  });
}

/** Whether nobody reads the output any more: the end of whatever does nothing but print. */
export function isUnread({ stdout }: Pick<Io, 'stdout'>): boolean {
  return unread.has(stdout);
}

/** A path of the command line, relative to the working directory. Throws UsageError for an empty one: a variable that is not set. */
export function pathOf({ cwd }: Pick<Io, 'cwd'>, path: string): string {
  if (path === '') throw new UsageError('A path is empty.');
  return resolve(cwd, path);
}

/** All of stdin as text. An interrupt ends the waiting with an error. */
export async function readStdin({ stdin, signal }: Pick<Io, 'stdin' | 'signal'>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of addAbortSignal(signal, stdin)) chunks.push(Buffer.from(chunk as Buffer | string));
  return Buffer.concat(chunks).toString('utf8');
}
