// Jobs: what the product is doing for somebody, step by step. A job's id is also its ARM operation id and its
// orchestration's instance id.
import * as z from 'zod';
import { errorRecord } from '../errorCatalogue/errorCode.ts';
import { jobKinds, kindOf } from './kinds.ts';
import { planRun } from './planRun.ts';
import type { PlanRun } from './planRun.ts';

export type JobKindName = keyof typeof jobKinds;

const kindNames = Object.keys(jobKinds) as JobKindName[];

/** Site Recovery's words. `Suspended` = waits for somebody, or for the resync window. */
const jobState = z.enum(['NotStarted', 'InProgress', 'Suspended', 'Succeeded', 'Failed', 'Cancelled']);

const jobStep = z.object({
  taskId: z.string(),
  name: z.string(),
  friendlyName: z.string(),
  state: jobState,
  startTime: z.iso.datetime().nullable(),
  endTime: z.iso.datetime().nullable(),
  errors: z.array(errorRecord),
});
export type JobStep = z.infer<typeof jobStep>;

/** How far the running step is, where that is known. */
const jobProgress = z.object({
  doneBytes: z.number(),
  totalBytes: z.number(),
  /** Seconds until the step ends at the pace so far; null = not known. */
  remainingSeconds: z.number().nullable(),
});
export type JobProgress = z.infer<typeof jobProgress>;

export const jobRecord = z.object({
  id: z.string(),
  kind: z.enum(kindNames),
  scenario: z.string(),
  friendlyName: z.string(),
  state: jobState,
  steps: z.array(jobStep),
  errors: z.array(errorRecord),
  createdAt: z.iso.datetime(),
  startTime: z.iso.datetime().nullable(),
  endTime: z.iso.datetime().nullable(),
  /** ARM id and name of what the job works on. */
  targetId: z.string(),
  targetName: z.string(),
  targetType: z.string(),
  /** The protected item it works on, if it does. */
  item: z.string().nullable().default(null),
  /** The recovery plan's job that began this one. */
  parentId: z.string().nullable().default(null),
  /** Of a recovery plan's job: what it works through, and how far it is. */
  run: planRun.nullable().default(null),
  /** What the job's orchestration was started with, beside item and job id: needed to start it again. */
  input: z.record(z.string(), z.unknown()).default({}),
  /** Somebody asked to stop it; it stops at its next safe point. */
  cancelRequestedAt: z.iso.datetime().nullable().default(null),
  /** W3C Trace Context of the request or timer that began the job: its steps go on in that trace. */
  traceparent: z.string().nullable().default(null),
  /** Decided, but the item may not be free yet: a death in between is finished by whoever finds it. */
  ending: z.enum(['Succeeded', 'Failed', 'Cancelled']).nullable().default(null),
  progress: jobProgress.nullable().default(null),
  /** What it found, for people: bytes saved by a resync, and the like. */
  result: z.record(z.string(), z.unknown()).default({}),
  /**
   * State of the ARM operation that started the job. It can succeed before the job ends: an "enable protection" request is
   * fulfilled when replication has started, while its job goes on until the machine is protected.
   */
  operation: z.enum(['InProgress', 'Succeeded', 'Failed', 'Canceled']),
});
export type JobRecord = z.infer<typeof jobRecord>;

export interface NewJob {
  id: string;
  kind: JobKindName;
  targetId: string;
  targetName: string;
  createdAt: string;
  item?: string;
  input?: Record<string, unknown>;
  parentId?: string | null;
  run?: PlanRun;
  /** Instead of the steps of the kind. */
  steps?: readonly Pick<JobStep, 'taskId' | 'name' | 'friendlyName'>[];
  traceparent?: string | undefined;
}

/** A job that has not started. */
export function newJob({ id, kind, targetId, targetName, createdAt, ...about }: NewJob): JobRecord {
  const { scenario, friendlyName, targetType, ...known } = kindOf(kind);
  const { item, input, parentId, run, traceparent, steps = known.steps } = about;
  return {
    ...{ id, kind, scenario, friendlyName, createdAt, targetId, targetName, targetType },
    state: 'NotStarted',
    steps: steps.map((each) => ({
      ...each,
      state: 'NotStarted',
      startTime: null,
      endTime: null,
      errors: [],
    })),
    errors: [],
    startTime: null,
    endTime: null,
    item: item ?? null,
    input: input ?? {},
    parentId: parentId ?? null,
    run: run ?? null,
    cancelRequestedAt: null,
    traceparent: traceparent ?? null,
    ending: null,
    progress: null,
    result: {},
    operation: 'InProgress',
  };
}

/** The job as it looks when all of it was done at once: what synchronous requests record. */
export function completedJob(job: JobRecord, at: string): JobRecord {
  const done = { state: 'Succeeded', startTime: at, endTime: at } as const;
  return { ...job, ...done, steps: job.steps.map((each) => ({ ...each, ...done })), operation: 'Succeeded' };
}

export const isOver = ({ state }: Pick<JobRecord, 'state'>): boolean =>
  state === 'Succeeded' || state === 'Failed' || state === 'Cancelled';

/** What people read for a state: Site Recovery's word for a good end is another. */
export const describeJobState = (state: string): string => (state === 'Succeeded' ? 'Completed' : state);

export type JobAction = 'Cancel' | 'Restart' | 'Resume';

/** What may be done with the job now, in Site Recovery's words. */
export function allowedActions(job: JobRecord): JobAction[] {
  const { isCancellable, isRestartable } = kindOf(job.kind);
  const actions: JobAction[] = [];
  if (!isOver(job) && isCancellable && job.cancelRequestedAt === null) actions.push('Cancel');
  if (job.state === 'Suspended') actions.push('Resume');
  if ((job.state === 'Failed' || job.state === 'Cancelled') && isRestartable) actions.push('Restart');
  return actions;
}

/** Percent of the job that is done: whole steps, and of the running one what its progress says; null before it starts. */
export function percentOf({ steps, progress, state }: JobRecord): number | null {
  if (state === 'Succeeded') return 100;
  if (state === 'NotStarted') return null;
  const done = steps.filter((each) => each.state === 'Succeeded').length;
  const running = progress && progress.totalBytes > 0 ? progress.doneBytes / progress.totalBytes : 0;
  return Math.floor((100 * (done + Math.min(1, running))) / steps.length);
}
