// A host as a process of its own, for programs outside of the test runner (the soak, the benchmarks): started from the
// built program, awaited by the file it writes when it is ready. The caller ends every process it has started.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface HostProcess {
  child: ChildProcess;
  dataDirectory: string;
  /** All output so far. */
  output(): string;
  /** Resolves with the exit code, or the name of the signal, when the process is gone. */
  exited: Promise<{ code: number | string }>;
}

/** What local.json says of a host that is ready. */
export interface HostAddress {
  url: string;
  storageConnectionString: string;
  pid: number;
  [entry: string]: unknown;
}

export interface SpawnOptions {
  /** Path of the built program, dist/local/main.mjs. */
  program: string;
  app: string;
  dataDirectory: string;
  args?: string[];
}

const readyTimeoutMs = 60_000;
/** Of a host's output this much is kept, for the message of a failure. */
const keptOutputChars = 200_000;

/** Whatever local.settings.json says, an emulator of the host's own is used, and no real account touched. */
export const ownStorage = {
  AzureWebJobsStorage: 'UseDevelopmentStorage=true',
  LIFEBOAT_STORAGE: 'UseDevelopmentStorage=true',
};

/** Starts the host on a free port with nothing of the caller's settings, and returns at once. */
export function spawnHost({ program, app, dataDirectory, args = [] }: SpawnOptions): HostProcess {
  const commandLine = [program, '--app', app, '--port', '0', '--data-dir', dataDirectory, ...args];
  const child = spawn(process.execPath, ['--enable-source-maps', ...commandLine], {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...ownStorage },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (text: string): string => (output = (output + text).slice(-keptOutputChars));
  child.stdout.setEncoding('utf8').on('data', keep);
  child.stderr.setEncoding('utf8').on('data', keep);
  const exited = new Promise<{ code: number | string }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code: code ?? signal ?? 'unknown' }));
  });
  return { child, dataDirectory, output: () => output, exited };
}

/** Waits until the host serves requests. Throws with its output when it ends instead, or takes too long. */
export async function waitUntilReady(host: HostProcess): Promise<HostAddress> {
  const deadline = Date.now() + readyTimeoutMs;
  while (Date.now() < deadline) {
    const address = findAddress(host);
    if (address !== undefined) return address;
    const { exitCode, signalCode } = host.child;
    if (exitCode !== null || signalCode !== null)
      throw new Error(
        `The host ended (${exitCode ?? String(signalCode)}) instead of getting ready:\n${host.output()}`,
      );
    await sleep(20);
  }
  throw new Error(`The host was not ready after ${readyTimeoutMs / 1000} s:\n${host.output()}`);
}

/** Asks the host to stop and waits for its end. */
export async function stopHost(host: HostProcess): Promise<number | string> {
  host.child.kill('SIGTERM');
  return (await host.exited).code;
}

/** Kills the host with nothing but its own end, and waits for it. Its Azurite saves and ends by itself. */
export async function killHost(host: HostProcess): Promise<void> {
  host.child.kill('SIGKILL');
  await host.exited;
}

function findAddress({ child, dataDirectory }: HostProcess): HostAddress | undefined {
  try {
    const address = JSON.parse(readFileSync(join(dataDirectory, 'local.json'), 'utf8')) as HostAddress;
    return address.pid === child.pid ? address : undefined;
  } catch {
    return undefined;
  }
}
