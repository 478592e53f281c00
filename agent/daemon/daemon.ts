// The agent: one instance a folder, a heartbeat, and a runner for every protected item of the machines that agent.yaml names.
// All that it must remember is in its folder; it may be killed at any moment.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  serviceClient,
  type Assignment,
  type InventoryReport,
  type ServiceClient,
} from '../serviceClient.ts';
import type { ChangeTracker } from '../track/tracker.ts';
import { BandwidthLimiter } from '../upload/bandwidth.ts';
import { AssignmentFeed } from './assignmentFeed.ts';
import type { AgentConfig, MachineConfig } from './config.ts';
import { messageOf } from './failures.ts';
import { lockInstance } from './instanceLock.ts';
import { takeInventory } from './inventory.ts';
import type { Activity, ItemContext } from './itemContext.ts';
import { ItemRunner } from './itemRunner.ts';
import { ItemStateFile } from './itemState.ts';
import { serviceSettings } from './serviceAccess.ts';
import { Spool } from './spool.ts';
import { writeStatus, type AgentStatus } from './statusFile.ts';
import { createTracker, logFoldersOf, sourceMachineOf } from './trackers.ts';

export interface DaemonOptions {
  config: AgentConfig;
  /** Ends the agent; it lets go of frozen views first. */
  signal: AbortSignal;
  log: (message: string) => void;
  /** Sees what `agent status` would show, every second. */
  onStatus?: ((status: AgentStatus) => void) | undefined;
}

const statusEveryMs = 1000;
/** Before the spool is full by so much the agent warns. */
const spoolWarningMs = 2 * 3_600_000;

interface RunningItem {
  machine: string;
  context: ItemContext;
  activity: Activity;
  done: Promise<void>;
}

class Daemon {
  readonly #options: DaemonOptions;
  readonly #client: ServiceClient;
  readonly #feed: AssignmentFeed;
  readonly #spool: Spool;
  readonly #limiter: BandwidthLimiter;
  readonly #items = new Map<string, RunningItem>();
  readonly #inventory = new Map<string, InventoryReport['machines'][number]>();
  readonly #machineProblems = new Map<string, string>();
  readonly #startedAt = new Date().toISOString();
  readonly #service: AgentStatus['service'];
  #fullAt: Date | undefined;
  #problem = '';

  constructor(options: DaemonOptions, client: ServiceClient) {
    this.#options = options;
    this.#client = client;
    const { config } = options;
    this.#feed = new AssignmentFeed(client, config.site);
    this.#spool = new Spool(join(config.stateFolder, 'spool'), config.spool.quota);
    this.#limiter = new BandwidthLimiter(config.bandwidth);
    this.#service = { url: client.connection.baseUrl, reachedAt: null, problem: null };
  }

  async run(): Promise<void> {
    const { config } = this.#options;
    const statusLoop = this.#every(statusEveryMs, () => this.#writeStatus());
    await Promise.all([
      statusLoop,
      this.#every(config.heartbeatSeconds * 1000, () => this.#heartbeat(), config.pollSeconds * 1000),
      this.#every(config.pollSeconds * 1000, () => this.#findItems()),
    ]);
    await Promise.all([...this.#items.values()].map(({ done }) => done));
    await Promise.all(
      [...this.#items.values()].map(({ context }) => context.tracker.close().catch(() => undefined)),
    );
    await this.#writeStatus();
  }

  /** Repeats until the signal aborts. A failure is logged once, and tried again after `retryMs`. */
  async #every(pauseMs: number, work: () => Promise<void>, retryMs = pauseMs): Promise<void> {
    const { signal, log } = this.#options;
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      let waitMs = pauseMs;
      try {
        await work();
      } catch (error) {
        waitMs = Math.min(pauseMs, retryMs);
        const message = messageOf(error);
        this.#service.problem = message;
        if (!isOver() && message !== this.#problem) log(message);
        this.#problem = message;
      }
      await sleep(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #reached(): void {
    this.#service.reachedAt = new Date().toISOString();
    this.#service.problem = null;
    if (this.#problem !== '') this.#options.log('the service answers again');
    this.#problem = '';
  }

  async #heartbeat(): Promise<void> {
    const { config, log } = this.#options;
    const { report, problems } = await takeInventory(config, this.#inventory);
    this.#machineProblems.clear();
    for (const { machine, error } of problems) {
      this.#machineProblems.set(machine, messageOf(error));
      log(`${machine}: ${messageOf(error)}`);
    }
    await this.#client.putInventory(config.site, report);
    this.#reached();
    const fullAt = await this.#spool.forecast(new Date());
    this.#fullAt = fullAt;
    if (fullAt && fullAt.getTime() - Date.now() < spoolWarningMs)
      log(`the spool will be full at ${fullAt.toISOString()}; then only changed blocks are kept`);
  }

  async #findItems(): Promise<void> {
    const { config } = this.#options;
    const assignments = await this.#feed.list();
    this.#reached();
    for (const assignment of assignments.values()) {
      const machine = config.machines.find(({ id }) => id === assignment.machine);
      if (machine && !this.#items.has(assignment.item)) await this.#start(assignment, machine);
    }
  }

  async #start({ item }: Assignment, machine: MachineConfig): Promise<void> {
    const { config, signal, log } = this.#options;
    const folder = join(config.stateFolder, 'items', item);
    const machineFolder = join(config.stateFolder, 'machines', machine.id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await mkdir(machineFolder, { recursive: true, mode: 0o700 });
    const running: Partial<RunningItem> = { machine: machine.id, activity: { doing: 'starting' } };
    const report = (activity: Activity): void => void (running.activity = activity);
    const tracker: ChangeTracker = await createTracker(machine, { folder: machineFolder, signal, report });
    const context: ItemContext = {
      ...{ item, folder, tracker, report, signal, log, open: undefined },
      ...{ client: this.#client, feed: this.#feed, spool: this.#spool, limiter: this.#limiter },
      state: await ItemStateFile.open(join(config.stateFolder, 'items'), item),
      source: sourceMachineOf(machine),
      logFolders: logFoldersOf(machine),
      pageWrites: config.pageWrites,
      intervalSeconds: machine.intervalSeconds,
    };
    running.context = context;
    running.done = new ItemRunner(context, config.pollSeconds * 1000).run().then(async () => {
      await tracker.close();
      this.#items.delete(item);
    });
    this.#items.set(item, running as RunningItem);
    log(`${item}: machine ${machine.id}, tracked by ${machine.tracker.kind}`);
  }

  async #writeStatus(): Promise<void> {
    const { config } = this.#options;
    const { usedBytes, quotaBytes } = await this.#spool.use();
    const status: AgentStatus = {
      ...{ version: 1, pid: process.pid, startedAt: this.#startedAt, updatedAt: new Date().toISOString() },
      service: this.#service,
      spool: { usedBytes, quotaBytes, fullAt: this.#fullAt?.toISOString() ?? null },
      machines: config.machines.map(({ id }) => ({
        machine: id,
        problem: this.#machineProblems.get(id) ?? null,
      })),
      items: [...this.#items].map(([item, { machine, context, activity }]) => ({
        ...{ item, machine, activity },
        appliedCycle: context.state.current.appliedCycle,
        pendingCycle: context.state.current.pending?.cycle ?? null,
        lastFrozenAt: context.state.current.lastFrozenAt,
      })),
    };
    this.#options.onStatus?.(status);
    await writeStatus(config.stateFolder, status);
  }
}

/**
 * Runs the agent until the signal aborts. Throws AgentError for a configuration that cannot work and `AgentRunning` for a
 * folder in use; what fails later is reported to the service and tried again.
 */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const { config, signal, log } = options;
  await mkdir(config.stateFolder, { recursive: true, mode: 0o700 });
  await using lock = await lockInstance(join(config.stateFolder, 'agent.lock'));
  const client = serviceClient(await serviceSettings(config, signal));
  log(`agent of site ${config.site}, service ${client.connection.baseUrl}, state in ${config.stateFolder}`);
  await new Daemon(options, client).run();
  await lock.release();
  log('ended');
}
