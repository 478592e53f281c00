// One step of a plan over several members: their jobs are begun or let into the next phase, a bounded number at a time, and looked
// at until every one of them is through or has failed. What one look decides is stored before the next: the turn before the
// job begins, the job's id when it has begun; a job that a death left without its id is found in the item's row.
import { isLifeboatError, toErrorRecord } from '../errors.ts';
import type { ErrorRecord } from '../errors.ts';
import { isOver } from '../jobs/job.ts';
import type { JobRecord } from '../jobs/job.ts';
import { findJob, updateJob } from '../jobs/jobStore.ts';
import type { MemberStep, PlanMember, PlanPhase, PlanRun } from '../jobs/planRun.ts';
import { forEachBounded } from '../merge/bounded.ts';
import { isoNow } from '../protection/itemJobs.ts';
import { cancelJob } from '../protection/jobControl.ts';
import type { OrchestrationClient } from '../protection/orchestrations.ts';
import { changedEvent } from '../protection/orchestrations.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { standingOf } from './members.ts';
import { beginMemberJob } from './memberJobs.ts';
import { readMember } from './planStore.ts';
import { withStep } from './runState.ts';

/** Members that are on their way in a step at once. */
const membersAtOnce = 10;
/** Members that are looked at together. */
const looksAtOnce = 4;

/** The step of a member's job behind which a phase is over; `boot` and `whole` end with the job. */
const lastTasks: Partial<Record<PlanPhase, readonly string[]>> = {
  shutdown: ['ShutdownVmOnPrimary'],
  failover: ['FailoverTask', 'BeginTestFailoverTask'],
};

/** Where a member's job is in a phase. Pure. */
function outcomeOf(
  job: JobRecord | undefined,
  phase: PlanPhase,
  standing: PlanMember['standing'],
): 'passed' | 'failed' | 'running' | 'again' {
  if (!job) return 'again';
  if (standing === 'asked') {
    if (!isOver(job)) return 'running';
    // It had got through before it could be stopped: what it made is undone by a job of its own.
    return job.state === 'Succeeded' ? 'again' : 'passed';
  }
  if (job.state === 'Succeeded') return 'passed';
  if (isOver(job)) return 'failed';
  const tasks = lastTasks[phase] ?? [];
  const isPast = job.steps.some(({ taskId, state }) => tasks.includes(taskId) && state === 'Succeeded');
  return isPast ? 'passed' : 'running';
}

const isOpen = ({ passed, failed }: MemberStep, item: string): boolean =>
  !passed.includes(item) && !failed.includes(item);

/** The items of the step whose turn it is now, so that no more than `limit` are on their way. Pure. */
export function nextTurns(run: PlanRun, step: MemberStep, limit = membersAtOnce): string[] {
  const open = step.items.filter((item) => isOpen(step, item));
  const hasTurn = (item: string): boolean =>
    run.members.find((member) => member.item === item)?.turn === step.phase;
  const waiting = open.filter((item) => !hasTurn(item));
  return waiting.slice(0, Math.max(0, limit - (open.length - waiting.length)));
}

/** What a look at one member found. */
interface Look {
  item: string;
  jobId: string | null;
  standing?: PlanMember['standing'];
  state: 'passed' | 'failed' | 'running';
  error?: ErrorRecord;
}

interface About {
  context: ReplicationContext;
  orchestrations: OrchestrationClient;
  jobId: string;
  run: PlanRun;
}

async function begin({ context, orchestrations, jobId, run }: About, { item }: PlanMember): Promise<Look> {
  const standing = standingOf(run.plan, run.verb, await readMember(context, item));
  switch (standing.kind) {
    case 'done':
      return { item, jobId: null, state: 'passed' };
    case 'blocked':
      return { item, jobId: null, state: 'failed', error: failure(standing.reason) };
    case 'held':
      return { item, jobId: standing.jobId, state: 'running' };
    case 'undone':
      await cancelJob(context, orchestrations, standing.jobId);
      return { item, jobId: standing.jobId, standing: 'asked', state: 'running' };
    case 'ready':
      break;
  }
  try {
    const job = await beginMemberJob({ ...context, onBehalfOf: { jobId, plan: run.plan } }, orchestrations, {
      ...{ item, verb: run.verb, options: run.options },
    });
    context.fault('plan.afterMember');
    return { item, jobId: job.id, state: 'running' };
  } catch (error) {
    if (!isLifeboatError(error) || error.kind === 'transient') throw error;
    return { item, jobId: null, state: 'failed', error: failure(toErrorRecord(error).message) };
  }
}

const failure = (message: string): ErrorRecord => ({ code: 'PlanMemberFailed', message });

async function look(about: About, phase: PlanPhase, member: PlanMember): Promise<Look> {
  const { item, machineName, jobId, standing } = member;
  if (jobId === null) return begin(about, member);
  const job = await findJob(about.context.storage.jobs, jobId);
  const state = outcomeOf(job, phase, standing);
  if (state === 'again') return begin(about, member);
  if (state !== 'failed') return { item, jobId, state };
  const why = job?.errors.map(({ message }) => message).join(' ') ?? '';
  const how = job?.state === 'Cancelled' ? 'was cancelled' : 'failed';
  const message = `${machineName}: its job ${jobId} ${how}. ${why}`.trim();
  return { item, jobId, state, error: failure(message) };
}

/** The run after these looks. Pure; the same looks again change nothing. */
function withLooks(run: PlanRun, index: number, looks: readonly Look[], at: string): PlanRun {
  const byItem = new Map(looks.map((each) => [each.item, each]));
  const members = run.members.map((member): PlanMember => {
    const found = byItem.get(member.item);
    if (!found) return member;
    return { ...member, jobId: found.jobId ?? member.jobId, standing: found.standing ?? member.standing };
  });
  return withStep({ ...run, members }, index, (step) => {
    if (step.kind !== 'members') return step;
    const isNew = ({ item }: Look): boolean => isOpen(step, item);
    const of = (state: Look['state']) => looks.filter((each) => each.state === state && isNew(each));
    const passed = [...step.passed, ...of('passed').map(({ item }) => item)];
    const failed = [...step.failed, ...of('failed').map(({ item }) => item)];
    const errors = [...step.errors, ...of('failed').flatMap(({ error }) => (error ? [error] : []))];
    const isAtEnd = passed.length + failed.length >= step.items.length;
    if (!isAtEnd) return { ...step, passed, failed, errors };
    const state = failed.length > 0 ? ('Failed' as const) : ('Succeeded' as const);
    return { ...step, passed, failed, errors, state, endTime: step.endTime ?? at };
  });
}

/**
 * One look at the step, as far as it can go now. Returns whether anything moved; the step's state says whether it is over. The
 * members that are on their way come to their end before the step has failed.
 */
export async function advanceMembers(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  { jobId, index }: { jobId: string; index: number },
): Promise<{ job: JobRecord; hasMoved: boolean }> {
  const { jobs } = context.storage;
  let turns: string[] = [];
  const given = await updateJob(jobs, jobId, (job) => {
    const step = job.run?.steps[index];
    if (!job.run || step?.kind !== 'members') return job;
    turns = nextTurns(job.run, step);
    if (turns.length === 0) return job;
    const members = job.run.members.map((member) =>
      turns.includes(member.item) ? { ...member, turn: step.phase } : member,
    );
    return { ...job, run: { ...job.run, members } };
  });
  context.fault('plan.afterTurn');
  const { run } = given;
  const step = run?.steps[index];
  if (!run || step?.kind !== 'members') throw new Error(`Invariant broken: step ${index} of ${jobId}`);
  const onTheirWay = run.members.filter(
    ({ item, turn }) => turn === step.phase && step.items.includes(item) && isOpen(step, item),
  );
  const looks: Look[] = [];
  await forEachBounded(onTheirWay, { concurrency: looksAtOnce }, async (member) => {
    looks.push(await look({ context, orchestrations, jobId, run }, step.phase, member));
    if (turns.includes(member.item) && member.jobId !== null)
      await orchestrations.raiseEvent(member.jobId, changedEvent);
  });
  context.fault('plan.afterLooks');
  const known = new Map(run.members.map((member) => [member.item, member]));
  const hasNews = looks.some(
    (each) => each.state !== 'running' || (each.jobId !== null && each.jobId !== known.get(each.item)?.jobId),
  );
  if (!hasNews && looks.length > 0) return { job: given, hasMoved: turns.length > 0 };
  const at = isoNow(context);
  const job = await updateJob(jobs, jobId, (current) =>
    current.run ? { ...current, run: withLooks(current.run, index, looks, at) } : current,
  );
  return { job, hasMoved: true };
}
