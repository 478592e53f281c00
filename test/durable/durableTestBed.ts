// What the Durable tests stand on: Azurite, the fixture app loaded once, and hosts that can be thrown away and started again
// on the same storage behind one loopback port.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { DurableHost, type DurableHostOptions } from '../../local/durable/durableHost.ts';
import { loadApp } from '../../local/worker/loadApp.ts';
import type { Worker } from '../../local/worker/types.ts';
import { startAzurite, type RunningAzurite } from '../support/azurite.ts';

export interface Status {
  name: string;
  instanceId: string;
  runtimeStatus: string;
  input: unknown;
  output: unknown;
  customStatus: unknown;
  createdTime: string;
  lastUpdatedTime: string;
  historyEvents?: Record<string, unknown>[];
}

type HostChanges = Partial<
  Pick<
    DurableHostOptions,
    | 'strict'
    | 'onFaultPoint'
    | 'maxConcurrentActivities'
    | 'hubName'
    | 'stopTimeoutMs'
    | 'storageConnectionString'
  >
>;

const finalStatuses = ['Completed', 'Failed', 'Terminated'];

/** The side effects of the fixture's activities, in order. */
export function activityRuns(): unknown[] {
  return (globalThis as unknown as { durableRuns: unknown[] }).durableRuns;
}

/** Makes the fixture's `gated` activity with this key wait until the returned function is called. */
export function closeGate(key: string): () => void {
  let open: () => void = () => undefined;
  const gates = (globalThis as unknown as { durableGates: Map<string, Promise<void>> }).durableGates;
  gates.set(key, new Promise((resolve) => (open = resolve)));
  return open;
}

export class DurableTestBed {
  readonly logLines: string[] = [];
  readonly azurite: RunningAzurite;
  readonly worker: Worker;
  host: DurableHost | undefined;
  private readonly server: Server;

  private constructor(azurite: RunningAzurite, worker: Worker) {
    this.azurite = azurite;
    this.worker = worker;
    this.server = createServer((request, response) => {
      const handled = this.host?.handleHttp(request, response) ?? Promise.resolve(false);
      void handled.then((isHandled) => {
        if (!isHandled) response.writeHead(404).end();
      });
    });
  }

  /** One per test file: an app is loaded once per process. */
  static async create(): Promise<DurableTestBed> {
    const appDirectory = fileURLToPath(new URL('./app', import.meta.url));
    const [azurite, worker] = await Promise.all([
      startAzurite(),
      loadApp({ appDirectory, log: () => undefined }),
    ]);
    const bed = new DurableTestBed(azurite, worker);
    await new Promise<void>((resolve) => bed.server.listen(0, '127.0.0.1', resolve));
    return bed;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Starts a host; one that is there already stays as it is, which is what a crashed one would do. */
  async startHost(changes: HostChanges = {}): Promise<DurableHost> {
    const host = new DurableHost({
      worker: this.worker,
      storageConnectionString: this.azurite.connectionString,
      hubName: 'TestHub',
      publicBaseUrl: () => this.origin,
      log: (level, category, message) => this.logLines.push(`${level} ${category} ${message}`),
      ...changes,
    });
    this.host = host;
    await host.start();
    return host;
  }

  async close(): Promise<void> {
    await this.host?.stop();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    await this.azurite.stop();
  }

  request(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.origin}/runtime/webhooks/durabletask/${path}`, init);
  }

  /** Starts an orchestration and returns its instance id. */
  async start(name: string, input?: unknown, instanceId?: string): Promise<string> {
    const path = `orchestrators/${name}${instanceId === undefined ? '' : `/${encodeURIComponent(instanceId)}`}`;
    const response = await this.post(path, input);
    if (response.status !== 202)
      throw new Error(`start ${name}: ${response.status} ${await response.text()}`);
    return ((await response.json()) as { id: string }).id;
  }

  post(path: string, body?: unknown): Promise<Response> {
    const json =
      body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    return this.request(path, { method: 'POST', ...json });
  }

  async status(instanceId: string, query = ''): Promise<Status> {
    const response = await this.request(`instances/${encodeURIComponent(instanceId)}?${query}`);
    if (!response.ok) throw new Error(`status of ${instanceId}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Status;
  }

  /** Waits for the instance's end. */
  async finish(instanceId: string): Promise<Status> {
    return this.until(instanceId, (status) => finalStatuses.includes(status.runtimeStatus));
  }

  /** Asks until the status is as wanted; a storage error in an answer is not the end. */
  async until(instanceId: string, isReached: (status: Status) => boolean): Promise<Status> {
    for (let i = 0; i < 3000; i++) {
      const status = await this.status(instanceId).catch((error: unknown) => {
        if (!String(error).includes(': 500 ')) throw error;
      });
      if (status && isReached(status)) return status;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(
      `${JSON.stringify(await this.status(instanceId))}\n${this.logLines.slice(-20).join('\n')}`,
    );
  }

  async run(name: string, input?: unknown): Promise<Status> {
    return this.finish(await this.start(name, input));
  }
}
