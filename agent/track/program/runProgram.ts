// Runs a program of the administrator: arguments as given, no shell, a time limit, bounded output.
import { spawn } from 'node:child_process';
import { LifeboatError } from '../../../lib/errors.ts';
import { errnoOf } from '../../fileErrors.ts';

export interface Program {
  /** Program and arguments. */
  command: readonly string[];
  /** Default 10 minutes. */
  timeoutSeconds?: number | undefined;
}

export interface ProgramRun {
  exitCode: number;
  stdout: string;
  /** The last lines, for messages. */
  stderr: string;
}

const maxOutputBytes = 256 * 1024 * 1024;
const shownErrorChars = 500;
const defaultTimeoutSeconds = 600;

/**
 * Runs it with one more argument (none for an empty verb) and these variables besides those of the agent. Throws `SnapshotFailed` when it cannot be
 * started, does not end in time, or prints too much; its exit code is the caller's to judge.
 */
export async function runProgram(
  { command, timeoutSeconds = defaultTimeoutSeconds }: Program,
  verb: string,
  variables: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<ProgramRun> {
  signal?.throwIfAborted();
  const [file = '', ...args] = command;
  const failed = (why: string, cause?: unknown): LifeboatError =>
    new LifeboatError('SnapshotFailed', `The program ${`${file} ${verb}`.trim()} ${why}.`, {
      target: file,
      cause,
    });
  const child = spawn(file, [...args, ...(verb === '' ? [] : [verb])], {
    env: { ...process.env, ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutSeconds * 1000,
    killSignal: 'SIGKILL',
    ...(signal ? { signal } : {}),
  });
  const output: Buffer[] = [];
  let outputBytes = 0;
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    outputBytes += chunk.length;
    if (outputBytes > maxOutputBytes) child.kill('SIGKILL');
    else output.push(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(-4 * shownErrorChars);
  });
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw failed(`cannot be started: ${errnoOf(error) ?? String(error)}`, error);
  });
  if (outputBytes > maxOutputBytes) throw failed(`printed more than ${maxOutputBytes} bytes`);
  if (exitCode === null) throw failed(`did not end within ${timeoutSeconds} s`);
  const shown = stderr.trim().slice(-shownErrorChars);
  return { exitCode, stdout: Buffer.concat(output).toString('utf8'), stderr: shown };
}
