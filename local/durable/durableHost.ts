// Durable Functions for the local host: runs the app's orchestrations on Azure Tables and Blobs and serves their management API.
// One host a hub. Everything it promises rests on the commit protocol in docs/local-durable.md; this file only wires the parts.
import pMap from 'p-map';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { availableParallelism } from 'node:os';
import type { HostLog, TypedData, Worker } from '../worker/types.ts';
import { ActivityDispatcher } from './activities.ts';
import { EpisodeRunner } from './episode.ts';
import { FunctionIndex } from './functionIndex.ts';
import { Gate } from './gate.ts';
import { HistoryStore } from './historyStore.ts';
import { ManagementApi } from './httpApi.ts';
import { InboxStore } from './inboxStore.ts';
import { InstanceRegistry } from './instanceRegistry.ts';
import { InstanceRequests } from './instanceRequests.ts';
import { InstanceStore } from './instanceStore.ts';
import { InstanceWriter } from './instanceWriter.ts';
import { type ApiAddress, clientBindingData } from './links.ts';
import { OutgoingWork } from './outgoingWork.ts';
import { PayloadStore } from './payloads.ts';
import { StepGuard } from './stepGuard.ts';
import { createTaskHub, openTaskHub, type TaskHub } from './taskHub.ts';
import { TimerService } from './timers.ts';

export interface DurableHostOptions {
  worker: Worker;
  storageConnectionString: string;
  /** 3 to 45 letters and digits, a letter first. */
  hubName: string;
  /** Origin under which `handleHttp` is reachable, without a slash at the end; asked each time it is needed. */
  publicBaseUrl: () => string;
  /** System key that whoever guards `handleHttp` asks for; the links handed out then carry it. */
  webhookKey?: () => string | undefined;
  /** Base URL for the app's own clients, with a slash at the end; below `publicBaseUrl` when absent. */
  rpcBaseUrl?: () => string | undefined;
  log: HostLog;
  /** Runs every episode twice and fails orchestrations that are not deterministic or use a task in two combinators. Default false. */
  strict?: boolean;
  /** Default 10 for each core. */
  maxConcurrentActivities?: number;
  /** How long `stop` waits for running activities. Default 5,000. */
  stopTimeoutMs?: number;
  /** Test hook: called before and after each durable step; throwing there is a crash of this host. */
  onFaultPoint?: (name: string) => void;
}

/** Storage requests are the bottleneck: more instances at a time only make each slower. */
const maxConcurrentTurns = 24;
const defaultStopTimeoutMs = 5000;

export class DurableHost {
  private readonly options: DurableHostOptions;
  private readonly hub: TaskHub;
  private readonly guard: StepGuard;
  private readonly instances: InstanceStore;
  private readonly timers = new TimerService();
  private readonly activities: ActivityDispatcher;
  private readonly outgoing: OutgoingWork;
  private readonly registry: InstanceRegistry;
  private readonly api: ManagementApi;

  /** Opens nothing yet. @throws Error for an invalid hub name or connection string. */
  constructor(options: DurableHostOptions) {
    const { worker, log, hubName } = options;
    this.options = options;
    this.hub = openTaskHub(options.storageConnectionString, hubName);
    const guard = (this.guard = new StepGuard(options.onFaultPoint));
    const functions = new FunctionIndex(worker.functions);
    const payloads = new PayloadStore(this.hub.largeMessages, guard);
    const history = new HistoryStore(this.hub.history, payloads, guard);
    const inbox = new InboxStore(this.hub.inbox, payloads, guard);
    const instances = (this.instances = new InstanceStore(this.hub.instances, payloads, guard));
    const activities = (this.activities = new ActivityDispatcher({
      worker,
      functions,
      guard,
      log,
      maxConcurrent: options.maxConcurrentActivities ?? 10 * availableParallelism(),
      complete: (work, event) => this.outgoing.complete(work, event),
    }));
    this.outgoing = new OutgoingWork({
      activities,
      timers: this.timers,
      functions,
      history,
      guard,
      log,
      registry: () => this.registry,
      onFinished: (record) => requests.announceEnd(record.instanceId),
    });
    const registry = (this.registry = new InstanceRegistry({
      writer: new InstanceWriter({ instances, history, inbox, payloads }),
      episodes: new EpisodeRunner(worker, functions, options.strict ?? false),
      outgoing: this.outgoing,
      gate: new Gate(maxConcurrentTurns),
      guard,
      log,
    }));
    const requests = new InstanceRequests({ functions, registry, instances, history });
    this.api = new ManagementApi({ requests, address: () => this.address(), log });
  }

  /** Creates tables and container, then lets every unfinished instance go on. Resolves when all of them have been loaded. */
  async start(): Promise<void> {
    await createTaskHub(this.hub);
    const ids: string[] = [];
    for await (const id of this.instances.listIds({ statuses: ['Pending', 'Running', 'Suspended'] }))
      ids.push(id);
    await pMap(ids, (id) => this.registry.get(id).wake(), { concurrency: maxConcurrentTurns });
    if (ids.length > 0)
      this.options.log(
        'information',
        'Host.Durable',
        `${ids.length} unfinished instances of hub ${this.options.hubName} go on.`,
      );
  }

  /**
   * Running activities get a while to finish (`stopTimeoutMs`); what they have not finished is done again at the next start.
   * May be called twice. Afterwards this host writes nothing, and requests are answered 503.
   */
  async stop(): Promise<void> {
    this.timers.cancelAll();
    await this.activities.drain(this.options.stopTimeoutMs ?? defaultStopTimeoutMs);
    this.guard.halt();
    this.timers.cancelAll();
    await this.registry.settled();
    await this.outgoing.settled();
  }

  /** Value of the durableClient input binding. */
  clientBinding(): TypedData {
    return clientBindingData(this.address());
  }

  private address(): ApiAddress {
    const { hubName, publicBaseUrl, webhookKey, rpcBaseUrl } = this.options;
    return { origin: publicBaseUrl(), hubName, webhookKey: webhookKey?.(), rpcBaseUrl: rpcBaseUrl?.() };
  }

  /** Serves the management API; false, with the response untouched, for every other path. */
  async handleHttp(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    return this.api.handle(request, response);
  }
}
