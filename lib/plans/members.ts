// How each member of a plan stands to a verb, from its row alone: whether it takes part, has nothing to do, or is in the way.
import { isOver } from '../jobs/job.ts';
import type { JobRecord } from '../jobs/job.ts';
import { planVerbs } from '../jobs/planRun.ts';
import type { PlanVerb } from '../jobs/planRun.ts';
import { allows } from '../protection/allowed.ts';
import type { ItemRecord } from '../protection/item.ts';
import { describeState } from '../protection/states.ts';
import type { Operation } from '../protection/states.ts';
import type { PlanGroup } from '../vault/recoveryPlans.ts';
import { verbTable } from './verbs.ts';

/** A member as it is now. */
export interface MemberView {
  item: string;
  /** Undefined: it is not protected any more. */
  record: ItemRecord | undefined;
  /** The job that its row names. */
  job: JobRecord | undefined;
}

/**
 * `ready`: its job can begin. `held`: a job of this plan waits on it and is gone on with. `undone`: as `held`, but the verb ends
 * that job. `done`: nothing to do. `blocked`: in the way, with what a person reads.
 */
export type Standing =
  | { kind: 'ready' | 'done' }
  | { kind: 'held' | 'undone'; jobId: string }
  | { kind: 'blocked'; reason: string };

/** True when the job is one that this plan began. */
export const belongsTo = (job: JobRecord | undefined, plan: string): job is JobRecord =>
  typeof job?.input['plan'] === 'string' && job.input['plan'].toLowerCase() === plan.toLowerCase();

export function standingOf(plan: string, verb: PlanVerb, { item, record, job }: MemberView): Standing {
  const { memberJob, operation, doneStates, skipsOthers, undoes } = verbTable[verb];
  if (!record) return { kind: 'blocked', reason: `Protected item "${item}" does not exist any more.` };
  if (belongsTo(job, plan) && !isOver(job)) {
    if (job.kind === memberJob) return { kind: 'held', jobId: job.id };
    if (undoes.some((kind) => kind === job.kind)) return { kind: 'undone', jobId: job.id };
  }
  if (allows(record, operation)) return { kind: 'ready' };
  if (record.currentJob !== null) {
    const what = job ? ` (${job.friendlyName})` : '';
    return { kind: 'blocked', reason: `Job ${record.currentJob}${what} runs on "${record.machineName}".` };
  }
  const isTested = verb === 'testFailover' && record.testFailover?.state === 'completed';
  if (isTested || doneStates.includes(record.state) || skipsOthers) return { kind: 'done' };
  const state = `${record.state} (${describeState(record.state)})`;
  return {
    kind: 'blocked',
    reason: `${operation} is not possible while "${record.machineName}" is in state ${state}.`,
  };
}

/** What keeps the verb from beginning; empty = it may. */
export function memberProblems(plan: string, verb: PlanVerb, views: readonly MemberView[]): string[] {
  const standings = views.map((view) => standingOf(plan, verb, view));
  const reasons = standings.flatMap((each) => (each.kind === 'blocked' ? [each.reason] : []));
  if (reasons.length > 0) return reasons;
  if (standings.every(({ kind }) => kind === 'done')) {
    const { operation } = verbTable[verb];
    return [`${operation}: there is nothing to do for any machine of the plan.`];
  }
  return [];
}

/** What may be asked of a plan on which no job runs, in Site Recovery's words. */
export const planOperations = (plan: string, views: readonly MemberView[]): Operation[] =>
  planVerbs
    .filter((verb) => memberProblems(plan, verb, views).length === 0)
    .map((verb) => verbTable[verb].operation);

/** The item's key in an id that the plan was stored with: the API has checked it. */
function itemOfId(id: string): string {
  const [, name = id] = /\/replicationProtectedItems\/([^/]+)/i.exec(id) ?? [];
  return decodeURIComponent(name).toLowerCase();
}

/** The items of each group, in order. */
export const itemsOf = (groups: readonly PlanGroup[]): string[][] =>
  groups.map(({ replicationProtectedItems }) =>
    (replicationProtectedItems ?? []).map(({ id }) => itemOfId(id)),
  );
