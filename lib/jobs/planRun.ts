// What the job of a recovery plan works through: decided once, when the job is made, and kept in the job's row with how far
// each step is. So a plan that somebody changes meanwhile changes no job that runs, and a restart knows what is done.
import * as z from 'zod';
import { errorRecord } from '../errorCatalogue/errorCode.ts';
import { planAction } from '../vault/recoveryPlans.ts';

export const planVerbs = [
  'testFailover',
  'testFailoverCleanup',
  'plannedFailover',
  'unplannedFailover',
  'failback',
  'failoverCommit',
  'failoverCancel',
  'reProtect',
] as const;
export type PlanVerb = (typeof planVerbs)[number];

/**
 * How far a member's job may go. A failover goes in three phases, so that all machines are off before any is copied and the
 * groups start in order: `shutdown`, `failover` (its disks), `boot`. All other jobs are done in one: `whole`.
 */
export const planPhases = ['shutdown', 'failover', 'boot', 'whole'] as const;
export type PlanPhase = (typeof planPhases)[number];

const stepBase = {
  /** Index of the plan's group. */
  group: z.number(),
  state: z.enum(['NotStarted', 'InProgress', 'Suspended', 'Succeeded', 'Failed', 'Cancelled']),
  startTime: z.iso.datetime().nullable(),
  endTime: z.iso.datetime().nullable(),
  errors: z.array(errorRecord),
};

const memberStep = z.object({
  ...stepBase,
  kind: z.literal('members'),
  phase: z.enum(planPhases),
  items: z.array(z.string()),
  /** Of the items: those that have got through the phase, and those whose job did not. */
  passed: z.array(z.string()),
  failed: z.array(z.string()),
});
export type MemberStep = z.infer<typeof memberStep>;

const actionStep = z.object({
  ...stepBase,
  kind: z.literal('action'),
  action: planAction,
  /** Tries so far of an action that calls somebody. */
  attempts: z.number(),
  /** When a person said that a manual action is done. */
  resumedAt: z.iso.datetime().nullable(),
  /** What that person wrote, or what was answered: at most 1,024 characters. */
  observation: z.string().nullable(),
});
export type ActionStep = z.infer<typeof actionStep>;

const planStep = z.discriminatedUnion('kind', [memberStep, actionStep]);
export type PlanStep = z.infer<typeof planStep>;

const planMember = z.object({
  item: z.string(),
  /** Name in the URL, and ARM id, of the protected item. */
  name: z.string(),
  armId: z.string(),
  machineName: z.string(),
  /** Its job; null before it was begun. */
  jobId: z.string().nullable(),
  /** The phase that its job may enter. */
  turn: z.enum(planPhases).nullable(),
  /** `done`: there is nothing to do for it. `asked`: its failover that waits is being undone. */
  standing: z.enum(['takesPart', 'done', 'asked']),
});
export type PlanMember = z.infer<typeof planMember>;

/** What the request asked for, as far as the verb knows it. */
export const planOptions = z.object({
  recoveryPoint: z
    .enum(['latest', 'latestProcessed', 'latestApplicationConsistent', 'latestMultiVm'])
    .default('latest'),
  /** With `latestMultiVm`: the moment of the consistency group, chosen when the job was made. */
  moment: z.guid().nullable().default(null),
  /** ARM id of the isolated network of a test. */
  networkId: z.string().nullable().default(null),
  /** Whether an unplanned failover asks the sources to shut down. */
  asksSource: z.boolean().default(false),
  comments: z.string().default(''),
});
export type PlanOptions = z.infer<typeof planOptions>;

export const planRun = z.object({
  plan: z.string(),
  verb: z.enum(planVerbs),
  options: planOptions,
  groups: z.array(z.object({ name: z.string(), groupType: z.enum(['Shutdown', 'Failover', 'Boot']) })),
  members: z.array(planMember),
  steps: z.array(planStep),
  /** The job that this one goes on from. */
  continues: z.string().nullable(),
});
export type PlanRun = z.infer<typeof planRun>;
