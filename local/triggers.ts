// Sorts the app's functions by trigger and starts what listens for them. A function that cannot be triggered here
// (unknown binding, bad schedule, missing setting) is reported and left out, as the real host does; the others run.
import type { BlobName } from './azurite/messages.ts';
import { type AdminFunction, RunRefusedError } from './http/adminApi.ts';
import { RouteTable, toHttpRoute } from './http/routeTable.ts';
import {
  type BlobFunction,
  type StorageAccount,
  StorageAccounts,
  toBlobFunction,
} from './blob/blobFunction.ts';
import { BlobListener } from './blob/blobListener.ts';
import { reasonOf } from './process/startError.ts';
import { resolveSettings } from './settings/appSettings.ts';
import type { HostConfig } from './settings/hostConfig.ts';
import { parseSchedule } from './timer/ncrontab.ts';
import { TimerListener } from './timer/timerListener.ts';
import { TimerStatusBlob } from './timer/timerStatus.ts';
import type { HostLog, LoadedFunction, Worker } from './worker/types.ts';

export interface TriggersOptions {
  worker: Worker;
  config: HostConfig;
  hostId: string;
  environment: NodeJS.ProcessEnv;
  /** The account that reports which blobs are written, and how to ask it for some containers. */
  reporting: {
    connectionString: string;
    watch: (containers: string[], onChange: (blobs: BlobName[]) => void) => void;
  };
  log: HostLog;
}

/** Triggers whose functions are run by the Durable host. */
export const durableTriggers: ReadonlySet<string> = new Set([
  'orchestrationTrigger',
  'activityTrigger',
  'entityTrigger',
]);

/** Bindings besides the trigger that this host can serve. */
const knownBindings: ReadonlySet<string> = new Set(['in durableClient', 'out http']);

export class Triggers {
  readonly routes = new RouteTable();
  readonly functions: AdminFunction[] = [];
  readonly #options: TriggersOptions;
  readonly #accounts: StorageAccounts;
  readonly #timers: TimerListener[] = [];
  readonly #blobFunctions: BlobFunction[] = [];
  #blobs: BlobListener | undefined;

  constructor(options: TriggersOptions) {
    this.#options = options;
    this.#accounts = new StorageAccounts(options.environment);
    for (const loaded of options.worker.functions) this.#add(loaded);
  }

  /** Undefined for an app without blob triggers. */
  get blobs(): BlobListener | undefined {
    return this.#blobs;
  }

  /** Starts timers and blob triggers; HTTP is served by whoever asks `routes`. */
  async start(): Promise<void> {
    const { worker, hostId, log, config, reporting } = this.#options;
    if (this.#timers.length === 0 && this.#blobFunctions.length === 0) return;
    const hostAccount = this.#accounts.get('AzureWebJobsStorage');
    await hostAccount.blobs.getContainerClient('azure-webjobs-hosts').createIfNotExists();
    for (const timer of this.#timers) await timer.start();
    if (this.#blobFunctions.length === 0) return;
    const reportingAccount = this.#accounts.find(reporting.connectionString);
    const blobs = new BlobListener({
      functions: this.#blobFunctions,
      ...{ worker, hostId, hostAccount, reportingAccount, log },
      config: config.blobs,
    });
    this.#blobs = blobs;
    // Reports first: what is written during the first listing is then not missed.
    reporting.watch(blobs.reportedContainers, (changed) => void blobs.noteChanged(changed));
    await blobs.start();
  }

  /** Begins no further run. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) timer.stop();
    await this.#blobs?.stop();
  }

  /** Starts one run in the background; rejects with RunRefusedError when the function cannot be run by name. */
  async runNow(loaded: LoadedFunction, input: string | undefined): Promise<void> {
    const { type } = loaded.trigger;
    const timer = this.#timers.find((listener) => listener.loaded === loaded);
    if (timer !== undefined) {
      void this.#inBackground(timer.runNow());
    } else if (type === 'blobTrigger' && this.#blobs !== undefined) {
      if (input === undefined)
        throw new RunRefusedError('Give the blob to run for: {"input": "container/name"}.');
      void this.#inBackground(this.#blobs.runNow(loaded.name, input));
    } else if (type === 'httpTrigger') {
      throw new RunRefusedError(`${loaded.name} is an HTTP function; call its URL.`);
    } else {
      throw new RunRefusedError(
        `A function with ${type} cannot be run by name; start an orchestration instead.`,
      );
    }
  }

  async #inBackground(run: Promise<void>): Promise<void> {
    try {
      await run;
    } catch (error) {
      this.#options.log('warning', 'Host.Admin', `The run on request failed: ${reasonOf(error)}`);
    }
  }

  #add(loaded: LoadedFunction): void {
    const isDisabled = /^(1|true)$/i.test(
      this.#options.environment[`AzureWebJobs.${loaded.name}.Disabled`] ?? '',
    );
    const entry: AdminFunction = { loaded, isDisabled };
    this.functions.push(entry);
    if (isDisabled) return;
    try {
      assertBindings(loaded);
      this.#connect(loaded, entry);
    } catch (error) {
      entry.error = reasonOf(error);
      const { log } = this.#options;
      log(
        'error',
        'Host.Startup',
        `The function "${loaded.name}" is in error and will not run: ${entry.error}`,
      );
    }
  }

  #connect(loaded: LoadedFunction, entry: AdminFunction): void {
    const { environment, config } = this.#options;
    const { type } = loaded.trigger;
    if (type === 'httpTrigger') {
      const route = toHttpRoute(loaded, config.routePrefix);
      this.routes.add(route);
      entry.route = route.path;
    } else if (type === 'timerTrigger') {
      this.#timers.push(this.#toTimer(loaded));
    } else if (type === 'blobTrigger') {
      this.#blobFunctions.push(toBlobFunction(loaded, this.#accounts, environment));
    } else if (!durableTriggers.has(type)) {
      throw new Error(`this host has no ${type}. Run the app with Azure Functions Core Tools for that.`);
    }
  }

  #toTimer(loaded: LoadedFunction): TimerListener {
    const { worker, log, environment, hostId } = this.#options;
    const { schedule: expression, useMonitor } = loaded.trigger;
    if (typeof expression !== 'string') throw new Error('A timer trigger needs a "schedule".');
    const schedule = parseSchedule(
      resolveSettings(expression, environment),
      environment['WEBSITE_TIME_ZONE'],
    );
    const isMonitored = useMonitor !== false && !schedule.isMoreOftenThanEachMinute(new Date());
    const hosts = (): ReturnType<StorageAccount['blobs']['getContainerClient']> =>
      this.#accounts.get('AzureWebJobsStorage').blobs.getContainerClient('azure-webjobs-hosts');
    const statusBlob = isMonitored ? new TimerStatusBlob(hosts(), hostId, loaded.name) : undefined;
    return new TimerListener({ loaded, schedule, worker, log, statusBlob });
  }
}

function assertBindings({ trigger, bindings }: LoadedFunction): void {
  for (const binding of bindings) {
    if (binding === trigger || knownBindings.has(`${binding.direction} ${binding.type}`)) continue;
    throw new Error(
      `this host has no ${binding.direction}put binding "${binding.type}". Use the service's SDK in the handler, ` +
        'or run the app with Azure Functions Core Tools.',
    );
  }
}
