// The whole service of a test with a place for machines: what failovers made, and whether anything is left of them.
import { createHash } from 'node:crypto';
import { runDue } from '../../lib/agenda/agenda.ts';
import { findJob } from '../../lib/jobs/jobStore.ts';
import type { JobRecord } from '../../lib/jobs/job.ts';
import { lookAtReadiness } from '../../lib/recovery/readinessCheck.ts';
import { lookAtDrill } from '../../lib/recovery/testFailover.ts';
import { recoveredDiskName } from '../../lib/recovery/names.ts';
import { replicaName } from '../../lib/replication/names.ts';
import { item, Lifecycle, type LifecycleOptions } from './lifecycle.ts';
import { minuteMs } from './manualClock.ts';
import { MemoryCompute } from './memoryCompute.ts';

export { item } from './lifecycle.ts';
const secondMs = 1000;

export class RecoveryLife {
  readonly life: Lifecycle;
  readonly compute: MemoryCompute;

  private constructor(life: Lifecycle) {
    this.life = life;
    this.compute = new MemoryCompute(life.storage);
    life.context.compute = this.compute;
  }

  /** Protected, with that many cycles. */
  static async create(cycles = 2, options: LifecycleOptions = {}): Promise<RecoveryLife> {
    const made = new RecoveryLife(await Lifecycle.create(options));
    await made.life.protect();
    for (let cycle = 0; cycle < cycles; cycle++) await made.cycle();
    return made;
  }

  get orchestrations() {
    return this.life.api.context.orchestrations;
  }
  get context() {
    return this.life.context;
  }
  get storage() {
    return this.life.storage;
  }

  /** One cycle of the source, five minutes later. */
  async cycle(): Promise<number> {
    this.life.clock.advance(5 * minuteMs);
    const cycle = await this.life.source.cycle();
    await this.settle();
    return cycle;
  }

  async settle(): Promise<void> {
    await this.life.settle();
    await runDue(this.context, 'readiness', (record) => lookAtReadiness(this.context, record));
    await runDue(this.context, 'drill', (record) => lookAtDrill(this.context, this.orchestrations, record));
    await this.life.api.runner.run();
  }

  /** Lets time pass, a second at a time, until the job is over. */
  async finish({ id }: Pick<JobRecord, 'id'>, seconds = 60): Promise<JobRecord> {
    for (let passed = 0; passed < seconds; passed++) {
      const job = await findJob(this.storage.jobs, id);
      if (job?.endTime) return job;
      this.life.clock.advance(secondMs);
      await this.life.api.runner.run();
    }
    throw new Error(`job ${id} is not over: ${JSON.stringify(await findJob(this.storage.jobs, id))}`);
  }

  async recoveredDigest(jobId: string, disk: string): Promise<string> {
    const range = { offsetBytes: 0, lengthBytes: this.life.source.disks.get(disk)!.length };
    const bytes = await this.storage.recovered.read(recoveredDiskName({ item, jobId, disk }), range);
    return createHash('sha256').update(bytes).digest('hex');
  }

  async replicaDigest(disk: string): Promise<string> {
    const range = { offsetBytes: 0, lengthBytes: this.life.source.disks.get(disk)!.length };
    return createHash('sha256')
      .update(await this.storage.replicas.read(replicaName(item, disk), range))
      .digest('hex');
  }

  sourceDigest(disk: string): string {
    return createHash('sha256').update(this.life.source.disks.get(disk)!).digest('hex');
  }

  /** The cycle whose disks the job has; throws when they are of none. */
  async cycleOf(jobId: string): Promise<number> {
    const digests = new Map<string, string>();
    for (const disk of this.life.source.disks.keys())
      digests.set(disk, await this.recoveredDigest(jobId, disk));
    const { appliedCycle } = await this.life.record();
    for (let cycle = appliedCycle; cycle > 0; cycle--)
      if (
        [...digests].every(
          ([disk, digest]) => this.life.source.history.get(`${cycle}/${disk}`)?.sha256 === digest,
        )
      )
        return cycle;
    throw new Error('the recovered disks are of no cycle');
  }

  /** Everything that failovers have made and not removed. */
  async leftovers(): Promise<string[]> {
    const found: string[] = [];
    for await (const name of this.storage.recovered.listNames('')) found.push(`blob ${name}`);
    for await (const { name } of this.storage.recoveredFiles.list('')) found.push(`file ${name}`);
    for await (const { what } of this.compute.listLeftovers()) found.push(what);
    for await (const { key } of this.storage.items.list(item))
      if (key.startsWith('recover')) found.push(`row ${key}`);
    for (const { cycle, pinnedBy } of await this.life.points())
      if (pinnedBy.length > 0) found.push(`pin on cycle ${cycle}`);
    return found;
  }

  async report(jobId: string): Promise<Record<string, unknown>> {
    const name = `${item}/${jobId}/report.json`;
    const found = await this.storage.evidence.find(name);
    if (!found) throw new Error(`there is no ${name}`);
    const range = { offsetBytes: 0, lengthBytes: found.sizeBytes };
    return JSON.parse(
      new TextDecoder().decode(await this.storage.evidence.read(name, range, found.etag)),
    ) as Record<string, unknown>;
  }
}
