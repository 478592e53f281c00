// Recovery plans: which machines fail over together, in which order, and what happens between. Stored as administrators wrote
// them; whoever runs one reads the groups in order.
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
]);

const action = z.object({
  actionName: z.string().min(1).max(256),
  failoverTypes: z.array(z.string().max(100)).min(1).max(20),
  failoverDirections: z.array(direction).min(1).max(2),
  customDetails: actionDetails,
});

export const planGroup = z.object({
  groupType: z.enum(['Shutdown', 'Boot', 'Failover']),
  replicationProtectedItems: z
    .array(z.object({ id: z.string().max(1000), virtualMachineId: z.string().max(256).nullish() }))
    .max(100)
    .nullish(),
  startGroupActions: z.array(action).max(50).nullish(),
  endGroupActions: z.array(action).max(50).nullish(),
});
export type PlanGroup = z.infer<typeof planGroup>;

const planRecord = z.object({
  name: z.string(),
  primaryFabric: z.string(),
  deploymentModel: z.string(),
  groups: z.array(planGroup),
  createdAt: z.iso.datetime(),
});
export type PlanRecord = z.infer<typeof planRecord>;

export const plans: Collection<PlanRecord> = {
  partition: 'recoveryPlans',
  what: 'Recovery plan',
  schema: planRecord,
  keyOf: ({ name }) => name.toLowerCase(),
};
