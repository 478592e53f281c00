// A whole service in a test: storage in memory, the API, the orchestrations and the timers, under a clock of the test's own. Every
// tick does what the app's timers would do at that moment.
import { runDue } from '../../lib/agenda/agenda.ts';
import type { FaultPoint } from '../../lib/faults/points.ts';
import { noFaults } from '../../lib/faults/points.ts';
import { stableGuid } from '../../lib/ids.ts';
import { findJob } from '../../lib/jobs/jobStore.ts';
import type { JobRecord } from '../../lib/jobs/job.ts';
import { listJobs } from '../../lib/jobs/jobStore.ts';
import { lookAtRetry } from '../../lib/protection/failures.ts';
import type { ItemRecord, RecoveryPointRecord } from '../../lib/protection/item.ts';
import { findItem, getItem, listRecoveryPoints } from '../../lib/protection/itemStore.ts';
import { lookAtHealth } from '../../lib/protection/looks.ts';
import { reconcileJobs } from '../../lib/protection/reconcileJobs.ts';
import { lookAtResync } from '../../lib/protection/resyncRequest.ts';
import { lookAtRetention } from '../../lib/protection/retention.ts';
import { lookAtScrub } from '../../lib/protection/scrub.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import { replicaName } from '../../lib/replication/names.ts';
import { reconcileDeltas } from '../../lib/replication/reconcile.ts';
import { memoryStorage } from '../../lib/storage/memory/index.ts';
import type { Storage } from '../../lib/storage/ports.ts';
import { findPolicy } from '../../lib/vault/policies.ts';
import type { PolicyRecord } from '../../lib/vault/policies.ts';
import { policies, putResource } from '../../lib/vault/resources.ts';
import { createHash } from 'node:crypto';
import { setImmediate as breathe } from 'node:timers/promises';
import { configureSite, testApi, vault } from './api.ts';
import type { TestApi } from './api.ts';
import { ManualClock, minuteMs } from './manualClock.ts';
import { SimulatedSource } from './simulatedSource.ts';

export interface LifecycleOptions {
  start?: string;
  sizes?: Record<string, number>;
  policy?: Partial<PolicyRecord>;
  storage?: Storage;
  seed?: number;
  /** Wraps the storage that the service sees, not the one that the test looks at. */
  wrap?: (storage: Storage) => Storage;
}

const mebibyte = 2 ** 20;
export const item = 'vm-1';

export class Lifecycle {
  readonly clock: ManualClock;
  readonly storage: Storage;
  readonly api: TestApi;
  readonly source: SimulatedSource;
  readonly logged: string[] = [];
  /** Dies where the test says. */
  fault: FaultPoint = noFaults;
  container = '';
  slots = 2;

  constructor({
    start = '2026-03-25T08:00:00.000Z',
    sizes = { os: mebibyte, data: 300 * 512 },
    storage = memoryStorage(),
    seed = 1,
    wrap = (plain) => plain,
  }: LifecycleOptions = {}) {
    this.clock = new ManualClock(start);
    this.storage = storage;
    let ids = 0;
    const context: ReplicationContext = {
      storage: wrap(storage),
      clock: this.clock,
      newId: () => stableGuid('lifecycle', seed, ids++),
      fault: (name) => this.fault(name),
      log: (message) => this.logged.push(message),
    };
    this.api = testApi(context);
    this.source = new SimulatedSource(this.api, item, sizes, seed);
  }

  static async create(options: LifecycleOptions = {}): Promise<Lifecycle> {
    const lifecycle = new Lifecycle(options);
    lifecycle.container = await configureSite(lifecycle.api);
    await lifecycle.changePolicy(options.policy ?? {});
    await lifecycle.reportInventory();
    return lifecycle;
  }

  get context(): ReplicationContext {
    return this.api.context.replication;
  }

  async reportInventory(): Promise<void> {
    const disks = [...this.source.disks].map(([id, bytes]) => ({ id, sizeBytes: bytes.length }));
    const machine = { id: item, name: 'web01', generation: '2', osType: 'Linux', disks };
    await this.call('PUT', '/agent/v1/sites/site1/inventory', { host: { name: 'hv1' }, machines: [machine] });
  }

  async changePolicy(changes: Partial<PolicyRecord>): Promise<void> {
    const before = await findPolicy(this.storage.vault, 'gold');
    await putResource(this.storage.vault, policies, { ...before!, ...changes });
  }

  async call(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const answer = await this.api.call(method, path, body);
    if (answer.status >= 400)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return (answer.body ?? {}) as Record<string, unknown>;
  }

  async enable(): Promise<Record<string, unknown>> {
    if (!(await this.find())) this.source.startOver();
    return this.call('PUT', `${this.container}/replicationProtectedItems/${item}`, {
      properties: {
        policyId: `${vault}/replicationPolicies/gold`,
        protectableItemId: `${this.container}/replicationProtectableItems/${item}`,
      },
    });
  }

  /** Protected, with the copy as recovery point 0. */
  async protect(): Promise<this> {
    await this.enable();
    await this.source.copyDisks(this.clock.now().toISOString());
    await this.settle();
    return this;
  }

  /** What the app does at this moment, once: triggers, timers, orchestrations. */
  async settle(): Promise<void> {
    // Storage in memory never waits: let the test runner breathe.
    await breathe();
    const { context } = this;
    const { orchestrations } = this.api.context;
    await this.api.runner.run();
    await reconcileDeltas(context);
    await reconcileJobs(context, orchestrations);
    await runDue(context, 'retry', (record) => lookAtRetry(context, record, {}));
    await runDue(context, 'resync', (record) => lookAtResync(context, orchestrations, record, this.slots));
    await runDue(context, 'scrub', (record) => lookAtScrub(context, orchestrations, record));
    await runDue(context, 'health', (record) => lookAtHealth(context, orchestrations, record));
    await runDue(context, 'retention', (record) => lookAtRetention(context, record));
    await this.api.runner.run();
  }

  /** Lets time pass, with a tick every `stepMs`. */
  async pass(ms: number, stepMs = minuteMs): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.clock.advance(Math.min(stepMs, ms - passed));
      await this.settle();
    }
  }

  record(): Promise<ItemRecord> {
    return getItem(this.storage.items, item);
  }

  find(): Promise<ItemRecord | undefined> {
    return findItem(this.storage.items, item);
  }

  async jobs(): Promise<JobRecord[]> {
    const all: JobRecord[] = [];
    for await (const job of listJobs(this.storage.jobs)) if (job.item !== null) all.push(job);
    return all;
  }

  async currentJob(): Promise<JobRecord | undefined> {
    const { currentJob } = await this.record();
    return currentJob === null ? undefined : findJob(this.storage.jobs, currentJob);
  }

  async points(): Promise<RecoveryPointRecord[]> {
    const all: RecoveryPointRecord[] = [];
    for await (const point of listRecoveryPoints(this.storage.items, item)) all.push(point);
    return all;
  }

  /** Cycles of all recovery points; throws when a byte of one is not what the source had. Point 0 is the initial copy. */
  async verifiedCycles(only: (cycle: number) => boolean = () => true): Promise<number[]> {
    const points = await this.points();
    for (const { cycle, disks } of points.filter((point) => only(point.cycle))) {
      for (const { disk, snapshotId } of disks) {
        const expected = this.source.history.get(`${cycle}/${disk}`);
        if (cycle === 0 || expected === undefined) continue;
        const range = { offsetBytes: 0, lengthBytes: expected.sizeBytes };
        const bytes = await this.storage.replicas.read(replicaName(item, disk), range, snapshotId);
        const found = createHash('sha256').update(bytes).digest('hex');
        if (found !== expected.sha256)
          throw new Error(`recovery point of cycle ${cycle}: disk ${disk} has other bytes`);
      }
    }
    return points.map(({ cycle }) => cycle);
  }
}
