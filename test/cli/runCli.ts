// Runs the command in this process with captured streams, in a folder of its own.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { run } from '../../cli/run.ts';

export interface CliResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export interface CliFolder {
  path: string;
  file: (name: string) => string;
  run: (args: readonly string[], options?: CliRunOptions) => Promise<CliResult>;
  /** As `run` with --json; returns the parsed document as well. */
  runJson: (
    args: readonly string[],
    options?: CliRunOptions,
  ) => Promise<CliResult & { json: Record<string, unknown> }>;
  remove: () => Promise<void>;
}

export interface CliRunOptions {
  stdin?: string;
  env?: Record<string, string>;
  signal?: AbortSignal;
}

function capture(stream: PassThrough): () => string {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString('utf8');
}

export async function cliFolder(): Promise<CliFolder> {
  const path = await mkdtemp(join(tmpdir(), 'lifeboat-cli-'));
  const runHere: CliFolder['run'] = async (args, options = {}) => {
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    const readStdout = capture(stdout);
    const readStderr = capture(stderr);
    const exitCode = await run(args, {
      stdout,
      stderr,
      stdin: Readable.from([options.stdin ?? '']),
      env: options.env ?? {},
      cwd: path,
      signal: options.signal ?? new AbortController().signal,
    });
    return { exitCode, stdout: readStdout(), stderr: readStderr() };
  };
  return {
    path,
    file: (name) => join(path, name),
    run: runHere,
    async runJson(args, options) {
      const result = await runHere([...args, '--json'], options);
      return { ...result, json: JSON.parse(result.stdout) as Record<string, unknown> };
    },
    remove: () => rm(path, { recursive: true, force: true }),
  };
}
