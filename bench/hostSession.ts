// Hosts for benchmarks: the built program on a data directory that is thrown away. Whatever happens, the process is gone
// and the directory is removed when the session ends; nothing of the caller's settings reaches the host.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type HostAddress,
  type HostProcess,
  killHost,
  spawnHost,
  stopHost,
  waitUntilReady,
} from '../test/conformance/hostProcess.ts';

const root = join(import.meta.dirname, '..', '..');
/** The product, as built. */
export const lifeboatApp = root;
/** The app of the conformance suite, which has a function of every kind. */
export const conformanceApp = join(root, 'test', 'conformance', 'app');

export interface HostSession {
  address: HostAddress;
  /** Process id of the host. */
  pid: number;
  /** From the start of the process until it served requests. */
  startMs: number;
  /** Stops the host and starts it again on the same data. */
  restart(): Promise<void>;
}

/** Runs `work` with a host; rejects with what `work` rejects with. */
export async function withHost<T>(app: string, work: (session: HostSession) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  const dataDirectory = join(folder, 'data');
  const program = join(root, 'dist', 'local', 'main.mjs');
  let host: HostProcess | undefined;
  const start = async (): Promise<Omit<HostSession, 'restart'>> => {
    const startedAt = performance.now();
    host = spawnHost({ program, app, dataDirectory });
    const address = await waitUntilReady(host);
    return { address, pid: address.pid, startMs: performance.now() - startedAt };
  };
  const interrupt = (): void => {
    host?.child.kill('SIGKILL');
    process.exit(130);
  };
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    const session: HostSession = {
      ...(await start()),
      restart: async () => {
        if (host !== undefined) await stopHost(host);
        Object.assign(session, await start());
      },
    };
    const result = await work(session);
    if (host !== undefined) await stopHost(host);
    return result;
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    if (host?.child.exitCode === null) await killHost(host);
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}
