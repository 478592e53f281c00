// Recovery plans: which machines fail over together, in which order, and what happens between. Stored as administrators wrote
// them, with the job that runs the plan. lib/plans runs them.
import * as z from 'zod';
import type { Collection } from './collection.ts';

const direction = z.enum(['PrimaryToRecovery', 'RecoveryToPrimary']);

const actionDetails = z.discriminatedUnion('instanceType', [
  z.object({
    instanceType: z.literal('ManualActionDetails'),
    description: z.string().max(4000).nullish(),
  }),
  z.object({
    instanceType: z.literal('ScriptActionDetails'),
    path: z.string().min(1).max(1000),
    timeout: z.string().max(100).nullish(),
    fabricLocation: z.enum(['Primary', 'Recovery']),
  }),
  z.object({
    instanceType: z.literal('AutomationRunbookActionDetails'),
    runbookId: z.string().max(1000).nullish(),
    timeout: z.string().max(100).nullish(),
    fabricLocation: z.enum(['Primary', 'Recovery']),
  }),
  // Ours, where Site Recovery has no word.
  z.object({
    instanceType: z.literal('LifeboatDelayActionDetails'),
    seconds: z.number().int().min(1).max(86_400),
  }),
  z.object({
    instanceType: z.literal('LifeboatProbeActionDetails'),
    /** `https://…`, `http://…`, or `tcp://host:port`. */
    url: z.string().min(1).max(1000),
    deadlineSeconds: z.number().int().min(1).max(86_400).default(600),
    intervalSeconds: z.number().int().min(1).max(300).default(10),
    /** Of an HTTP probe; any status from 200 to 399 when absent. */
    expectedStatus: z.number().int().min(100).max(599).nullish(),
  }),
]);

export const planAction = z.object({
  actionName: z.string().min(1).max(256),
  failoverTypes: z.array(z.string().max(100)).min(1).max(20),
  failoverDirections: z.array(direction).min(1).max(2),
  customDetails: actionDetails,
});
export type PlanAction = z.infer<typeof planAction>;

export const planGroup = z.object({
  groupType: z.enum(['Shutdown', 'Boot', 'Failover']),
  replicationProtectedItems: z
    .array(z.object({ id: z.string().max(1000), virtualMachineId: z.string().max(256).nullish() }))
    .max(100)
    .nullish(),
  startGroupActions: z.array(planAction).max(50).nullish(),
  endGroupActions: z.array(planAction).max(50).nullish(),
});
export type PlanGroup = z.infer<typeof planGroup>;

const planRecord = z.object({
  name: z.string(),
  primaryFabric: z.string(),
  deploymentModel: z.string(),
  groups: z.array(planGroup),
  createdAt: z.iso.datetime(),
  /** Job that runs the plan now; at most one. */
  currentJob: z.string().nullable().default(null),
  /**
   * The last job that ran it: its row says which members may go on (lib/plans/turn.ts), and it is the one that can be started
   * again. Null = none since the plan was changed.
   */
  lastJob: z.string().nullable().default(null),
  lastTestFailoverAt: z.iso.datetime().nullable().default(null),
  lastPlannedFailoverAt: z.iso.datetime().nullable().default(null),
  lastUnplannedFailoverAt: z.iso.datetime().nullable().default(null),
});
export type PlanRecord = z.infer<typeof planRecord>;

export const plans: Collection<PlanRecord> = {
  partition: 'recoveryPlans',
  what: 'Recovery plan',
  schema: planRecord,
  keyOf: ({ name }) => name.toLowerCase(),
};
