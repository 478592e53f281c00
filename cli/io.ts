// Everything of the process that a command may touch, so that tests call `run` with streams of their own.
import { once } from 'node:events';
import { resolve } from 'node:path';
import { addAbortSignal, type Readable, type Writable } from 'node:stream';

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

/** Writes to stdout no faster than it is read. */
export async function print({ stdout }: Pick<Io, 'stdout'>, text: string): Promise<void> {
  if (!stdout.write(text)) await once(stdout, 'drain');
}

/** A path of the command line, relative to the working directory. */
export function pathOf({ cwd }: Pick<Io, 'cwd'>, path: string): string {
  return resolve(cwd, path);
}

/** All of stdin as text. An interrupt ends the waiting with an error. */
export async function readStdin({ stdin, signal }: Pick<Io, 'stdin' | 'signal'>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of addAbortSignal(signal, stdin)) chunks.push(Buffer.from(chunk as Buffer | string));
  return Buffer.concat(chunks).toString('utf8');
}
