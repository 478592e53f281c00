// The host's side of the Azurite process: starts it detached, keeps its ports, stops it gracefully.
// Invariant: it opens no file before the caller has recorded its pid (`onSpawn`), so that a host killed at any
// moment leaves either no Azurite or one that the lock names.
import { type ChildProcess, spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { int, object } from 'zod';
import { writeFileAtomically } from '../process/atomicFile.ts';
import type { DataDirectory } from '../process/dataDirectory.ts';
import { StartError, reasonOf } from '../process/startError.ts';
import { type StorageEndpoints, toStorageEndpoints } from './connectionString.ts';
import type { AzuriteMessage, AzuritePorts, BlobName, HostMessage } from './messages.ts';

export interface AzuriteChildOptions {
  /** The built azuriteProcess. */
  entryPoint: string;
  directory: DataDirectory;
  onSpawn: (pid: number) => Promise<void>;
  /** Called at most once, when the process ends without having been asked to. */
  onUnexpectedExit: (reason: string) => void;
}

export interface AzuriteChild {
  endpoints: StorageEndpoints;
  /** From now on `onChange` hears of blobs written in these containers. Call once. */
  watch: (containers: string[], onChange: (blobs: BlobName[]) => void) => void;
  /** Saves, ends, and resolves when the process is gone. May be called twice. */
  stop(): Promise<void>;
}

const portsSchema = object({
  blob: int().min(1).max(65_535),
  queue: int().min(1).max(65_535),
  table: int().min(1).max(65_535),
});

const stopWaitMs = 15_000;

/** Starts Azurite; throws StartError when ports.json is broken or a service cannot start. */
export async function startAzurite(options: AzuriteChildOptions): Promise<AzuriteChild> {
  const { directory } = options;
  const wanted = await readPorts(directory.portsFile);
  const logFile = await open(join(directory.path, 'azurite.log'), 'a', 0o600);
  const child = spawn(process.execPath, [options.entryPoint], {
    detached: true,
    stdio: ['ignore', logFile.fd, logFile.fd, 'ipc'],
    env: environmentWithoutAccounts(),
  });
  await logFile.close();
  let isExpected = false;
  const exited = untilExit(child);
  const stop = async (): Promise<void> => {
    isExpected = true;
    tell(child, { type: 'stop' });
    await endOf(child, exited);
  };
  try {
    if (child.pid !== undefined) await options.onSpawn(child.pid);
    const ports = await startServices(child, exited, {
      type: 'start',
      directory: directory.azurite,
      ports: wanted,
    });
    await writeFileAtomically(directory.portsFile, `${JSON.stringify(ports)}\n`);
    void exited.then((reason) => {
      if (!isExpected) options.onUnexpectedExit(reason);
    });
    return {
      endpoints: toStorageEndpoints(ports),
      watch: (containers, onChange) => watch(child, containers, onChange),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Resolves with the reason: what the process said last, or else how it ended. */
async function untilExit(child: ChildProcess): Promise<string> {
  let failure: string | undefined;
  child.on('message', (message: AzuriteMessage) => {
    if (message.type === 'failed') failure = message.reason;
  });
  return new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    // `close`, not `exit`: the last message has then been heard.
    child.once('close', (code, signal) =>
      resolve(failure ?? (signal === null ? `exit code ${String(code)}` : `signal ${signal}`)),
    );
  });
}

async function startServices(
  child: ChildProcess,
  exited: Promise<string>,
  message: HostMessage,
): Promise<AzuritePorts> {
  const answered = new Promise<AzuritePorts>((resolve, reject) => {
    child.on('message', (answer: AzuriteMessage) => {
      if (answer.type === 'ready') resolve(answer.ports);
      if (answer.type === 'failed') reject(new Error(answer.reason));
    });
  });
  tell(child, message);
  try {
    return await Promise.race([
      answered,
      exited.then((reason) => {
        throw new Error(`the process ended (${reason})`);
      }),
    ]);
  } catch (error) {
    throw new StartError(
      `Azurite did not start: ${reasonOf(error)}. Its output is in azurite.log of the data directory; ` +
        'if its files are damaged, start with an empty data directory.',
      { cause: error },
    );
  }
}

function watch(child: ChildProcess, containers: string[], onChange: (blobs: BlobName[]) => void): void {
  child.on('message', (message: AzuriteMessage) => {
    if (message.type === 'changed') onChange(message.blobs);
  });
  tell(child, { type: 'watch', containers });
}

function tell(child: ChildProcess, message: HostMessage): void {
  // A process that is gone hears nothing; `exit` tells the host.
  if (child.connected) child.send(message, () => undefined);
}

async function endOf(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  const killer = setTimeout(() => child.kill('SIGKILL'), stopWaitMs);
  await exited;
  clearTimeout(killer);
}

/** A changed set of accounts would make the connection string wrong. */
function environmentWithoutAccounts(): NodeJS.ProcessEnv {
  const environment = { ...process.env };
  delete environment['AZURITE_ACCOUNTS'];
  return environment;
}

async function readPorts(file: string): Promise<Partial<AzuritePorts>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return {};
  }
  try {
    return portsSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new StartError(
      `${file} is damaged: it must hold three ports, like {"blob":10000,"queue":10001,"table":10002}. Correct or remove it.`,
      { cause: error },
    );
  }
}
