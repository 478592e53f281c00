// Several protected machines in a recovery plan: the whole service of a test, with a source for each machine and a place for what
// failovers make.
import { createHash } from 'node:crypto';
import { setImmediate as breathe } from 'node:timers/promises';
import type { FaultPoint } from '../../lib/faults/points.ts';
import { noFaults } from '../../lib/faults/points.ts';
import { stableGuid } from '../../lib/ids.ts';
import type { JobRecord } from '../../lib/jobs/job.ts';
import { isOver } from '../../lib/jobs/job.ts';
import type { PlanOptions, PlanVerb } from '../../lib/jobs/planRun.ts';
import { findJob, listJobs } from '../../lib/jobs/jobStore.ts';
import type { OutboundAnswer, OutboundPort, OutboundRequest } from '../../lib/plans/outbound.ts';
import { getPlan } from '../../lib/plans/planStore.ts';
import { startPlan } from '../../lib/plans/startPlan.ts';
import type { ItemRecord } from '../../lib/protection/item.ts';
import { getItem, listRecoveryPoints } from '../../lib/protection/itemStore.ts';
import { reconcileJobs } from '../../lib/protection/reconcileJobs.ts';
import { failbackWork, reportFailbackApplied } from '../../lib/recovery/failback.ts';
import { reportSourceStopped } from '../../lib/recovery/failover.ts';
import { recoveredDiskName } from '../../lib/recovery/names.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import { replicaName } from '../../lib/replication/names.ts';
import { reconcileDeltas } from '../../lib/replication/reconcile.ts';
import { memoryStorage } from '../../lib/storage/memory/index.ts';
import { configureSite, testApi, vault } from './api.ts';
import type { TestApi } from './api.ts';
import { ManualClock, minuteMs } from './manualClock.ts';
import { MemoryCompute } from './memoryCompute.ts';
import { SimulatedSource } from './simulatedSource.ts';

export const planName = 'shop';
export const planPath = `${vault}/replicationRecoveryPlans/${planName}`;
const diskBytes = 128 * 512;

export interface Group {
  groupType: string;
  machines?: string[];
  startGroupActions?: object[];
  endGroupActions?: object[];
}

/** An action that runs with these words of `failoverTypes`, both ways. */
export const action = (actionName: string, customDetails: object, ...failoverTypes: string[]) => ({
  ...{ actionName, failoverTypes, customDetails },
  failoverDirections: ['PrimaryToRecovery', 'RecoveryToPrimary'],
});

/** Answers what the test wants, and remembers what it was asked. */
class ScriptedOutbound implements OutboundPort {
  readonly calls: OutboundRequest[] = [];
  answer: (request: OutboundRequest) => OutboundAnswer = () => ({
    kind: 'answered',
    status: 200,
    text: 'ok',
  });

  async call(request: OutboundRequest): Promise<OutboundAnswer> {
    this.calls.push(request);
    return this.answer(request);
  }

  refusalOf = (url: string): string | undefined =>
    url.includes('forbidden') ? 'forbidden is not called.' : undefined;
}

export class PlanLife {
  readonly clock = new ManualClock('2026-03-25T08:00:00.000Z');
  readonly storage = memoryStorage();
  readonly compute = new MemoryCompute(this.storage);
  readonly outbound = new ScriptedOutbound();
  readonly api: TestApi;
  readonly sources = new Map<string, SimulatedSource>();
  fault: FaultPoint = noFaults;
  container = '';

  private constructor(machines: readonly string[]) {
    let ids = 0;
    const context: ReplicationContext = {
      ...{ storage: this.storage, clock: this.clock, compute: this.compute, outbound: this.outbound },
      newId: () => stableGuid('plans', ids++),
      fault: (name) => this.fault(name),
      log: () => undefined,
    };
    this.api = testApi(context);
    for (const [index, id] of machines.entries())
      this.sources.set(id, new SimulatedSource(this.api, id, { os: diskBytes }, index + 1));
  }

  /** Machines that are protected, with one cycle each, and the plan over them. */
  static async create(groups: readonly Group[]): Promise<PlanLife> {
    const life = new PlanLife(groups.flatMap(({ machines }) => machines ?? []));
    life.container = await configureSite(life.api);
    const disks = [{ id: 'os', sizeBytes: diskBytes }];
    const machines = [...life.sources.keys()].map((id) => ({
      ...{ id, name: `${id}-name`, generation: '2', osType: 'Linux', disks },
    }));
    await life.call('PUT', '/agent/v1/sites/site1/inventory', { host: { name: 'hv1' }, machines });
    for (const [id, source] of life.sources) {
      await life.call('PUT', life.itemPath(id), {
        properties: {
          policyId: `${vault}/replicationPolicies/gold`,
          protectableItemId: `${life.container}/replicationProtectableItems/${id}`,
        },
      });
      await source.copyDisks(life.clock.now().toISOString());
    }
    await life.settle();
    await life.cycles();
    await life.putPlan(groups);
    return life;
  }

  get context(): ReplicationContext {
    return this.api.context.replication;
  }
  get orchestrations() {
    return this.api.context.orchestrations;
  }

  itemPath(id: string): string {
    return `${this.container}/replicationProtectedItems/${id}`;
  }

  async call(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const answer = await this.api.call(method, path, body);
    if (answer.status >= 400)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return (answer.body ?? {}) as Record<string, unknown>;
  }

  async putPlan(groups: readonly Group[]): Promise<void> {
    await this.call('PUT', planPath, {
      properties: {
        primaryFabricId: `${vault}/replicationFabrics/site1`,
        recoveryFabricId: 'Microsoft Azure',
        groups: groups.map(({ machines, ...group }) => ({
          ...group,
          replicationProtectedItems: (machines ?? []).map((id) => ({ id: this.itemPath(id) })),
        })),
      },
    });
  }

  async planProperties(): Promise<Record<string, unknown>> {
    return (await this.call('GET', planPath))['properties'] as Record<string, unknown>;
  }

  /** One cycle of every source, five minutes later. */
  async cycles(): Promise<void> {
    this.clock.advance(5 * minuteMs);
    for (const source of this.sources.values()) await source.cycle();
    await this.settle();
  }

  async settle(): Promise<void> {
    await breathe();
    await this.api.runner.run();
    await reconcileDeltas(this.context);
    await reconcileJobs(this.context, this.orchestrations);
    await this.api.runner.run();
  }

  start(verb: PlanVerb, options: Partial<PlanOptions> = {}): Promise<JobRecord> {
    const about = { plan: planName, armId: planPath, verb, options };
    return startPlan(this.context, this.orchestrations, about);
  }

  async job(id: string): Promise<JobRecord> {
    return (await findJob(this.storage.jobs, id))!;
  }

  async plan() {
    return getPlan(this.context, planName);
  }

  record(id: string): Promise<ItemRecord> {
    return getItem(this.storage.items, id);
  }

  /** Time passes, a second at a time, and the sources do what they are asked to, until `holds`. */
  async until(what: string, holds: () => Promise<boolean>, seconds = 600): Promise<void> {
    for (let passed = 0; passed < seconds; passed++) {
      if (await holds()) return;
      await this.second();
    }
    const jobs = [];
    for await (const job of listJobs(this.storage.jobs)) if (!isOver(job)) jobs.push(job);
    throw new Error(`not within ${seconds} s: ${what}; running: ${JSON.stringify(jobs)}`);
  }

  async second(): Promise<void> {
    this.clock.advance(1000);
    await this.api.runner.run();
    for (const id of this.sources.keys()) await this.serve(id);
  }

  async finish({ id }: Pick<JobRecord, 'id'>): Promise<JobRecord> {
    await this.until(`job ${id} is over`, async () => isOver(await this.job(id)));
    return this.job(id);
  }

  /** Begins the verb and expects it to work. */
  async act(verb: PlanVerb, options: Partial<PlanOptions> = {}): Promise<JobRecord> {
    const job = await this.finish(await this.start(verb, options));
    if (job.state !== 'Succeeded') throw new Error(`${verb}: ${job.state} ${JSON.stringify(job.errors)}`);
    return job;
  }

  /** Sources that are asked to and do not. */
  readonly deaf = new Set<string>();

  /** What the source of the machine does now: shuts down when it is asked to, or writes what a failback brings. */
  async serve(id: string): Promise<void> {
    if (this.deaf.has(id)) return;
    const source = this.sources.get(id)!;
    const record = await this.record(id);
    if (record.failover?.source === 'asked' && record.failover.finalCycle === null) {
      const { nextCycle } = await source.assignment();
      const finalCycle = source.lastCut >= nextCycle ? source.lastCut : await source.cycle();
      await reportSourceStopped(this.context, this.orchestrations, id, finalCycle);
    }
    const work = record.state === 'FailbackInitiated' ? await failbackWork(this.context, record) : undefined;
    for (const { disk, sizeBytes, snapshotId, isApplied } of work?.disks ?? []) {
      if (isApplied) continue;
      const range = { offsetBytes: 0, lengthBytes: sizeBytes };
      source.disks.set(disk, await this.storage.replicas.read(replicaName(id, disk), range, snapshotId));
      await reportFailbackApplied(this.context, this.orchestrations, id, { disk, cycle: work!.cycle });
    }
  }

  async jobsOf(kind: string): Promise<JobRecord[]> {
    const all: JobRecord[] = [];
    for await (const job of listJobs(this.storage.jobs)) if (job.kind === kind) all.push(job);
    return all.reverse();
  }

  /** SHA-256 of a machine's recovered disk, and of the source's disk. */
  async digests(id: string, jobId: string): Promise<{ recovered: string; source: string }> {
    const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
    const name = recoveredDiskName({ item: id, jobId, disk: 'os' });
    const range = { offsetBytes: 0, lengthBytes: diskBytes };
    const recovered = await this.storage.recovered.read(name, range);
    return { recovered: sha(recovered), source: sha(this.sources.get(id)!.disks.get('os')!) };
  }

  /** Everything that failovers have made and not removed. */
  async leftovers(): Promise<string[]> {
    const found: string[] = [];
    for await (const name of this.storage.recovered.listNames('')) found.push(`blob ${name}`);
    for await (const { what } of this.compute.listLeftovers()) found.push(what);
    for (const id of this.sources.keys()) {
      for await (const { key } of this.storage.items.list(id))
        if (key.startsWith('recover')) found.push(`row ${id} ${key}`);
      for await (const { cycle, pinnedBy } of listRecoveryPoints(this.storage.items, id))
        if (pinnedBy.length > 0) found.push(`pin of ${id} on cycle ${cycle}`);
    }
    return found;
  }
}
