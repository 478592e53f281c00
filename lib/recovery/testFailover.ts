// Test failover: a machine of a recovery point, beside the real one, in a network of its own, while replication goes on. It
// waits for the user, is cleaned up on request, or by itself when its time is over. A drill is a test failover that the
// schedule began: it looks whether the machine boots, keeps the report, and cleans up at once.
import { plan } from '../agenda/agenda.ts';
import { LifeboatError } from '../errors.ts';
import type { ErrorRecord } from '../errors.ts';
import type { JobRecord } from '../jobs/job.ts';
import { updateJob } from '../jobs/jobStore.ts';
import { fulfilOperation } from '../jobs/progress.ts';
import { allows } from '../protection/allowed.ts';
import type { ItemRecord, ItemTestFailover } from '../protection/item.ts';
import { findPointOfCycle, getItem, updateItem, updatePoint } from '../protection/itemStore.ts';
import {
  abandonJob,
  beginJob,
  beginStep,
  endStep,
  finishJob,
  isoNow,
  requireIdle,
  whenAllowed,
  onRepeatedStep,
} from '../protection/itemJobs.ts';
import type { BadEnd } from '../protection/itemJobs.ts';
import type { ItemJob, OrchestrationClient } from '../protection/orchestrations.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { drainItem } from '../replication/drain.ts';
import type { DrainOptions } from '../replication/drain.ts';
import type { PointSelector } from './choosePoint.ts';
import { withDrill, writeReport } from './evidence.ts';
import {
  makeDisks,
  makeMachine,
  observeMachine,
  prepareRecovery,
  removeAll,
  removeDisks,
  removeMachine,
  releasePoint,
  type StepProgress,
} from './recoverySteps.ts';
import { updateRun } from './recoveryRun.ts';

/** How long a test failover stands before it is cleaned up by itself, when the request does not say. */
const defaultTestHours = 14 * 24;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const defaultBootLimitSeconds = 600;

export interface TestFailoverRequest {
  item: string;
  /** Default `latest`. */
  selector?: PointSelector;
  /** ARM id of the isolated network; null = the adapters' own choices for tests, or none. */
  networkId?: string | null;
  /** What the console must show; null = a login prompt. */
  marker?: string | null;
  bootLimitSeconds?: number;
  expiresAfterHours?: number;
  startedBy?: ItemTestFailover['startedBy'];
}

/** What the job's orchestration is started with. */
export type TestFailoverJob = ItemJob & {
  selector: PointSelector;
  networkId: string | null;
  marker: string | null;
  bootLimitSeconds: number;
  expiresAfterHours: number;
  startedBy: ItemTestFailover['startedBy'];
};

/** Throws `ItemBusy`, `OperationNotSupportedInState`: one test failover at a time, cleaned up before the next. */
export async function startTestFailover(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  request: TestFailoverRequest,
): Promise<JobRecord> {
  const {
    item,
    selector = { kind: 'latest' },
    networkId = null,
    marker = null,
    startedBy = 'user',
  } = request;
  const { bootLimitSeconds = defaultBootLimitSeconds, expiresAfterHours = defaultTestHours } = request;
  return beginJob(context, orchestrations, {
    ...{ item, kind: 'testFailover' },
    input: { selector, networkId, marker, bootLimitSeconds, expiresAfterHours, startedBy },
    change: whenAllowed('TestFailover', (record) => {
      requireNoTest(record);
      return record;
    }),
  });
}

function requireNoTest({ name, testFailover }: ItemRecord): void {
  if (testFailover === null) return;
  const message = `Protected item "${name}" has a test failover (job ${testFailover.jobId}); clean it up first.`;
  throw new LifeboatError('OperationNotSupportedInState', message, { target: name });
}

/** Step 1, again and again: what has arrived is merged when the latest data is wanted; then the choice is made. */
export async function prepareTest(
  context: ReplicationContext,
  job: TestFailoverJob,
  options: DrainOptions,
): Promise<{ isReady: boolean; errors: ErrorRecord[] }> {
  await beginStep(context, job.jobId, 'TestFailoverPreflightChecksTask');
  const { selector, networkId, marker, bootLimitSeconds, startedBy } = job;
  if (selector.kind === 'latest') {
    const { outcome } = await drainItem(context, job.item, options);
    if (outcome === 'busy' || outcome === 'more') return { isReady: false, errors: [] };
  }
  const startedAt = context.clock.now();
  const expiresAt = new Date(startedAt.getTime() + job.expiresAfterHours * hourMs).toISOString();
  await updateItem(context.storage.items, job.item, (record) => ({
    ...record,
    testFailover: record.testFailover ?? {
      ...{ jobId: job.jobId, startedBy, pointId: null, state: 'inProgress' },
      ...{ startedAt: startedAt.toISOString(), expiresAt },
    },
  }));
  context.fault('test.afterMark');
  const choice = { selector, networkId, marker, bootLimitSeconds, purpose: 'test' as const };
  const errors = await prepareRecovery(context, job, choice);
  if (errors.length === 0) await endStep(context, job.jobId, 'TestFailoverPreflightChecksTask');
  return { isReady: true, errors };
}

/** Step 2, again and again. */
export async function makeTestDisks(
  context: ReplicationContext,
  job: ItemJob,
  options: { stopAt: Date },
): Promise<{ isDone: boolean }> {
  return onRepeatedStep(context, job.jobId, 'BeginTestFailoverTask', () => makeDisks(context, job, options));
}

/** Step 3, again and again. */
export async function makeTestMachine(context: ReplicationContext, job: ItemJob): Promise<StepProgress> {
  return onRepeatedStep(context, job.jobId, 'PrepareTestProtectedEntitiesTask', () =>
    makeMachine(context, job),
  );
}

/** Step 4, again and again: until the boot is judged. */
export async function observeTest(context: ReplicationContext, job: ItemJob): Promise<StepProgress> {
  return onRepeatedStep(context, job.jobId, 'BootTestProtectedEntitiesTask', () =>
    observeMachine(context, job),
  );
}

/** Step 5: the report, kept and noted on the recovery point. A test of a user then waits; a drill goes on to its clean-up. */
export async function reportTest(
  context: ReplicationContext,
  job: TestFailoverJob,
): Promise<{ isDrill: boolean }> {
  const { storage } = context;
  const isDrill = job.startedBy === 'schedule';
  const report = await writeReport(context, job, { kind: isDrill ? 'drill' : 'testFailover', errors: [] });
  context.fault('test.afterReport');
  const { point } = await updateRun(storage.items, job.item, job.jobId);
  await updatePoint(storage.items, job.item, point.cycle, (row) => withDrill(row, report));
  const isGood = report.verdict !== 'failed';
  await updateItem(storage.items, job.item, (record) => ({
    ...record,
    lastGoodTestFailoverAt: isGood ? report.endedAt : record.lastGoodTestFailoverAt,
    lastRtoSeconds: isGood ? report.rtoSeconds : record.lastRtoSeconds,
  }));
  if (isDrill) return { isDrill };
  const record = await getItem(storage.items, job.item);
  await plan(context, 'drill', job.item, record.testFailover?.expiresAt ?? isoNow(context));
  await releasePoint(context, job);
  await finishJob(
    context,
    job,
    (current) => ({
      ...current,
      testFailover: current.testFailover && {
        ...current.testFailover,
        pointId: point.id,
        state: 'completed',
      },
    }),
    resultOf(report),
  );
  return { isDrill };
}

const resultOf = ({
  verdict,
  verdictText,
  rtoSeconds,
  rpoSeconds,
}: Awaited<ReturnType<typeof writeReport>>) => ({
  ...{ verdict, verdictText, rtoSeconds, rpoSeconds },
});

/** The last step of a drill, after its machine and disks are gone. Returns why the drill failed, nothing when it passed. */
export async function finishDrill(context: ReplicationContext, job: TestFailoverJob): Promise<ErrorRecord[]> {
  const { storage } = context;
  const run = await updateRun(storage.items, job.item, job.jobId);
  if (run.boot && run.boot.verdict !== 'booted' && run.boot.verdict !== 'unavailable') {
    const wanted = run.marker === null ? 'a login prompt' : `"${run.marker}"`;
    return [
      {
        code: 'DrillFailed',
        message: `The machine did not show ${wanted} within ${run.bootLimitSeconds} s.`,
      },
    ];
  }
  const point = await findPointOfCycle(storage.items, job.item, run.point.cycle);
  await removeDisks(context, job);
  await planNextDrill(context, job.item);
  await finishJob(context, job, (record) => ({ ...record, testFailover: null }), {
    verdict: run.boot?.verdict === 'booted' ? 'passed' : 'prepared',
    rtoSeconds: point?.drills.find(({ jobId }) => jobId === job.jobId)?.rtoSeconds ?? null,
  });
  return [];
}

async function planNextDrill(context: ReplicationContext, item: string): Promise<void> {
  const { drill } = await getItem(context.storage.items, item);
  if (!drill) return;
  const at = new Date(context.clock.now().getTime() + drill.everyDays * dayMs);
  await plan(context, 'drill', item, at.toISOString());
}

/** A test that failed or was cancelled leaves nothing but its report. */
export async function abandonTest(context: ReplicationContext, job: ItemJob, end: BadEnd): Promise<void> {
  await removeAll(context, job);
  await planNextDrill(context, job.item);
  await abandonJob(context, job, end, (record) => ({
    ...record,
    testFailover: record.testFailover?.jobId === job.jobId ? null : record.testFailover,
  }));
}

export type CleanupJob = ItemJob & { comments: string };

/** Throws `ItemBusy`, `OperationNotSupportedInState` when there is nothing to clean up. */
export async function startTestCleanup(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
  comments = '',
): Promise<JobRecord> {
  return beginJob(context, orchestrations, {
    ...{ item, kind: 'testFailoverCleanup' },
    input: { comments },
    change: (record) => {
      requireIdle(record);
      if (record.testFailover !== null) return record;
      const message = `Protected item "${record.name}" has no test failover to clean up.`;
      throw new LifeboatError('OperationNotSupportedInState', message, { target: record.name });
    },
  });
}

/** Step 1 and 2 of the clean-up, again and again. */
export async function removeTestMachine(context: ReplicationContext, job: CleanupJob): Promise<StepProgress> {
  await beginStep(context, job.jobId, 'TestFailoverCleanupPreflightChecksTask');
  const { testFailover } = await getItem(context.storage.items, job.item);
  await endStep(context, job.jobId, 'TestFailoverCleanupPreflightChecksTask');
  await updateJob(context.storage.jobs, job.jobId, fulfilOperation);
  return onRepeatedStep(context, job.jobId, 'EndTestFailoverTask', async () =>
    testFailover
      ? removeMachine(context, { item: job.item, jobId: testFailover.jobId })
      : { isDone: true, retryAfterSeconds: 0 },
  );
}

/** Step 3 of the clean-up. */
export async function finishTestCleanup(context: ReplicationContext, job: CleanupJob): Promise<void> {
  await beginStep(context, job.jobId, 'CleanupTestProtectedEntitiesTask');
  const { testFailover } = await getItem(context.storage.items, job.item);
  if (testFailover) await removeDisks(context, { item: job.item, jobId: testFailover.jobId });
  await endStep(context, job.jobId, 'CleanupTestProtectedEntitiesTask');
  await planNextDrill(context, job.item);
  await finishJob(context, job, (record) => ({ ...record, testFailover: null }), { comments: job.comments });
}

/** Between two looks at an item that something else keeps busy. */
const busyPauseMs = 10 * 60_000;

/** The timer's look: cleans up what is over its time, and begins drills that are due. See lib/agenda. */
export async function lookAtDrill(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  record: ItemRecord,
): Promise<string | null> {
  const now = context.clock.now().getTime();
  const later = (ms: number): string => new Date(now + ms).toISOString();
  const { testFailover, drill } = record;
  if (testFailover) {
    if (Date.parse(testFailover.expiresAt) > now) return testFailover.expiresAt;
    if (allows(record, 'TestFailoverCleanup'))
      await startTestCleanup(context, orchestrations, record.item, 'Its time was over.');
    return later(busyPauseMs);
  }
  if (!drill) return null;
  if (!allows(record, 'TestFailover')) return later(busyPauseMs);
  const { marker, bootLimitSeconds, everyDays } = drill;
  await startTestFailover(context, orchestrations, {
    ...{ item: record.item, marker, bootLimitSeconds, startedBy: 'schedule' },
    expiresAfterHours: 24,
  });
  return later(everyDays * dayMs);
}

/** Drills on a schedule, the first one now; null ends them. May be called again. */
export async function scheduleDrills(
  context: ReplicationContext,
  item: string,
  drill: ItemRecord['drill'],
): Promise<ItemRecord> {
  const record = await updateItem(context.storage.items, item, (current) => ({ ...current, drill }));
  if (drill) await plan(context, 'drill', item, isoNow(context));
  return record;
}
