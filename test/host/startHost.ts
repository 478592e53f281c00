// Starts the real program on the fixture app, in folders of its own; knows how to stop it, kill it,
// and read what it wrote. Every host started here is gone when the test file ends, whatever happened.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import { reservedPort } from '../support/listening.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const hostProgram = join(root, 'dist', 'local', 'main.mjs');
export const fixtureApp = join(root, 'test', 'host', 'fixture', 'app');
export const streamingApp = join(root, 'test', 'host', 'fixture', 'streamingApp');
export const timeoutApp = join(root, 'test', 'host', 'fixture', 'timeoutApp');
export const commonJsApp = join(root, 'test', 'host', 'fixture', 'commonJsApp');

export interface LocalJson {
  url: string;
  storageConnectionString: string;
  pid: number;
  [entry: string]: unknown;
}

export interface HostRun {
  child: ChildProcess;
  dataDirectory: string;
  /** All output so far. */
  output(): string;
  /** Resolves with the exit code (or the signal's name) and all output. */
  exited: Promise<{ code: number | string; output: string }>;
}

export interface ReadyHost extends HostRun {
  url: string;
  local: LocalJson;
  /** SIGTERM, and the exit code. */
  stop(): Promise<number | string>;
  kill(): Promise<void>;
}

export interface HostOptions {
  app?: string;
  dataDirectory?: string;
  port?: number;
  args?: string[];
  env?: Record<string, string>;
  /** In a process group of its own, so that `kill` can hit the whole group. */
  isGroupLeader?: boolean;
  /** Runs the program through a shell that does not pass signals on, as `npm start` does. */
  isBehindShell?: boolean;
}

const running = new Set<ChildProcess>();
const folders: string[] = [];

afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  // The Azurite of a killed host flushes into the folder and ends by itself.
  await sleep(running.size > 0 ? 500 : 0);
  for (const folder of folders)
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
});

/** A folder that is removed after the test file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'local-host-'));
  folders.push(folder);
  return folder;
}

/** A folder from which the installed packages are found, for an app that a test writes; removed after the test file. */
export function temporaryAppFolder(): string {
  const parent = join(root, 'node_modules', '.cache', 'local-host-test');
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, 'app-'));
  folders.push(folder);
  return folder;
}

/** Starts the program and returns at once. */
export function runHost(options: HostOptions = {}): HostRun {
  const dataDirectory = options.dataDirectory ?? join(temporaryFolder(), 'data');
  const args = [
    '--app',
    options.app ?? fixtureApp,
    '--port',
    String(options.port ?? 0),
    '--data-dir',
    dataDirectory,
  ];
  const program = [hostProgram, ...args, ...(options.args ?? [])];
  // `; true` keeps the shell: a lone command would replace it.
  const viaShell = ['-c', '"$0" "$@"; true', process.execPath, ...program];
  const isBehindShell = options.isBehindShell === true;
  const child = spawn(isBehindShell ? 'sh' : process.execPath, isBehindShell ? viaShell : program, {
    env: { PATH: process.env['PATH'] ?? '', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: options.isGroupLeader === true,
  });
  running.add(child);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const exited = new Promise<{ code: number | string; output: string }>((resolve) => {
    child.once('close', (code, signal) => {
      running.delete(child);
      resolve({ code: code ?? signal ?? 'unknown', output });
    });
  });
  return { child, dataDirectory, output: () => output, exited };
}

/** Starts the program and waits until it has written local.json; fails with its output when it ends instead. */
export async function startHost(options: HostOptions = {}): Promise<ReadyHost> {
  const dataDirectory = options.dataDirectory ?? join(temporaryFolder(), 'data');
  await reservePorts(dataDirectory);
  const run = runHost({ ...options, dataDirectory, port: options.port ?? (await reservedPort()) });
  const ended = run.exited.then(({ code, output }) => {
    throw new Error(`The host ended with ${code} instead of getting ready:\n${output}`);
  });
  ended.catch(() => undefined);
  // Behind a shell or a watcher the host is a process of its own.
  const isIndirect = options.isBehindShell === true || options.args?.includes('--watch') === true;
  const local = await Promise.race([waitFor(() => findLocalJson(run, isIndirect)), ended]);
  const stop = async (): Promise<number | string> => {
    run.child.kill('SIGTERM');
    return (await run.exited).code;
  };
  const kill = async (): Promise<void> => {
    if (options.isGroupLeader === true && run.child.pid !== undefined)
      process.kill(-run.child.pid, 'SIGKILL');
    else run.child.kill('SIGKILL');
    await run.exited;
  };
  return { ...run, url: local.url, local, stop, kill };
}

/** A host that is started again has its storage where it was: nobody is given these ports while it is away. */
async function reservePorts(dataDirectory: string): Promise<void> {
  const file = join(dataDirectory, 'ports.json');
  if (existsSync(file)) return;
  const [blob, queue, table] = await Promise.all([reservedPort(), reservedPort(), reservedPort()]);
  mkdirSync(dataDirectory, { recursive: true });
  writeFileSync(file, JSON.stringify({ blob, queue, table }));
}

function findLocalJson(run: HostRun, isIndirect: boolean): LocalJson | undefined {
  try {
    const local = JSON.parse(readFileSync(join(run.dataDirectory, 'local.json'), 'utf8')) as LocalJson;
    return isIndirect || local.pid === run.child.pid ? local : undefined;
  } catch {
    return undefined;
  }
}

/** Polls until `probe` gives a value that is not undefined or false. */
export async function waitFor<T>(
  probe: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const deadline = Date.now() + 45_000;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`Waited in vain for: ${String(probe)}`);
    await sleep(30);
  }
}

/** Waits until the output has the text: what is printed before an answer may be read after it. */
export async function untilSaid(host: HostRun, text: string | RegExp): Promise<void> {
  const isSaid = (): boolean =>
    typeof text === 'string' ? host.output().includes(text) : text.test(host.output());
  await waitFor(isSaid).catch(() => {
    throw new Error(`The host did not say ${String(text)}:\n${host.output()}`);
  });
}

export interface Observation {
  kind: string;
  [detail: string]: unknown;
}

/** What the fixture's handlers of one kind recorded. */
export async function observationsOf(host: ReadyHost, kind: string): Promise<Observation[]> {
  const response = await fetch(`${host.url}/api/observations`);
  return ((await response.json()) as Observation[]).filter((observation) => observation.kind === kind);
}
