// The failover verbs of recovery plans, in Site Recovery's words.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import type { PlanOptions, PlanVerb } from '../jobs/planRun.ts';
import { startPlan } from '../plans/startPlan.ts';
import { getStored } from '../vault/collection.ts';
import { plans } from '../vault/recoveryPlans.ts';
import type { Role } from '../auth/caller.ts';
import { accepted, requireArmId } from './arm.ts';
import { operation } from './operation.ts';
import type { Definition, Operation } from './operation.ts';
import { planId, planModel, planPath } from './recoveryPlanBody.ts';

const direction = z.enum(['PrimaryToRecovery', 'RecoveryToPrimary']);
const failoverInputs = z
  .array(
    z.looseObject({
      instanceType: z.enum(['HyperVReplicaAzure', 'HyperVReplicaAzureFailback']),
      recoveryPointType: z.enum(['Latest', 'LatestApplicationConsistent', 'LatestProcessed']).nullish(),
      // As in other scenarios of Site Recovery: one moment of all machines, where their policy has a consistency group.
      multiVmSyncPoint: z.enum(['UseMultiVmSyncRecoveryPoint', 'UsePerVmRecoveryPoint']).nullish(),
    }),
  )
  .max(10)
  .nullish();
type FailoverInputs = z.infer<typeof failoverInputs>;

const testInput = z
  .object({
    properties: z.object({
      failoverDirection: direction,
      networkType: z.string().max(100),
      networkId: z.string().max(1000).nullish(),
      providerSpecificDetails: failoverInputs,
    }),
  })
  .meta({ id: 'RecoveryPlanTestFailoverInput' });

const cleanupInput = z
  .object({ properties: z.object({ comments: z.string().max(1024).nullish() }) })
  .meta({ id: 'RecoveryPlanTestFailoverCleanupInput' });

const plannedInput = z
  .object({
    properties: z.object({ failoverDirection: direction, providerSpecificDetails: failoverInputs }),
  })
  .meta({ id: 'RecoveryPlanPlannedFailoverInput' });

const unplannedInput = z
  .object({
    properties: z.object({
      failoverDirection: direction,
      sourceSiteOperations: z.enum(['Required', 'NotRequired']),
      providerSpecificDetails: failoverInputs,
    }),
  })
  .meta({ id: 'RecoveryPlanUnplannedFailoverInput' });

const recoveryPoints = {
  Latest: 'latest',
  LatestProcessed: 'latestProcessed',
  LatestApplicationConsistent: 'latestApplicationConsistent',
} as const;

function pointOf(inputs: FailoverInputs): Pick<PlanOptions, 'recoveryPoint'> {
  const isShared = inputs?.some((each) => each.multiVmSyncPoint === 'UseMultiVmSyncRecoveryPoint') ?? false;
  const type = inputs?.find((each) => each.recoveryPointType)?.recoveryPointType ?? 'Latest';
  return { recoveryPoint: isShared ? 'latestMultiVm' : recoveryPoints[type] };
}

function requireToRecovery(given: z.infer<typeof direction>, verb: string): void {
  if (given === 'PrimaryToRecovery') return;
  const message = `${verb} goes from primary to recovery; the way back is plannedFailover with RecoveryToPrimary.`;
  throw new LifeboatError('InvalidRequest', message, { target: 'properties.failoverDirection' });
}

function networkOf(networkType: string, networkId: string | null | undefined): string | null {
  if (networkType === 'NoNetworkAttachAsInput' || !networkId) return null;
  return requireArmId(networkId, 'Microsoft.Network/virtualNetworks', 'properties.networkId');
}

interface VerbAbout {
  id: string;
  segment: string;
  access: Role;
  summary: string;
}

interface Wish {
  verb: PlanVerb;
  options?: Partial<PlanOptions>;
}

/** A verb that begins a job on the plan; 202, and the job's result is the plan. */
function verb<B>(
  { id, segment, access, summary }: VerbAbout,
  body: Definition<B>['body'],
  wishOf: (body: B) => Wish,
): Operation {
  return operation<B>({
    ...{ id: `ReplicationRecoveryPlans_${id}`, verb: 'POST', path: `${planPath}/${segment}`, access },
    ...{ answers: 'job', answer: planModel, summary, ...(body ? { body } : {}) },
    handler: async (context, request) => {
      const { replication, orchestrations } = context;
      const key = request.params['plan'] ?? '';
      const { name } = (await getStored(replication.storage.vault, plans, key)).record;
      const resource = planId(context, name);
      const wish = wishOf(request.body);
      const job = await startPlan(replication, orchestrations, { plan: name, armId: resource, ...wish });
      return accepted(context, { job, resource, apiVersion: request.apiVersion });
    },
  });
}

export const recoveryPlanVerbOperations: Operation[] = [
  verb(
    {
      ...{ id: 'TestFailover', segment: 'testFailover', access: 'Operator' },
      summary: 'Makes isolated machines of all members, group by group; replication goes on.',
    },
    testInput,
    ({ properties }) => {
      requireToRecovery(properties.failoverDirection, 'testFailover');
      const networkId = networkOf(properties.networkType, properties.networkId);
      return { verb: 'testFailover', options: { ...pointOf(properties.providerSpecificDetails), networkId } };
    },
  ),
  verb(
    {
      ...{ id: 'TestFailoverCleanup', segment: 'testFailoverCleanup', access: 'Operator' },
      summary: 'Removes the machines and the disks of the test failovers of all members.',
    },
    cleanupInput,
    ({ properties }) => ({
      verb: 'testFailoverCleanup',
      options: { comments: properties.comments ?? '' },
    }),
  ),
  verb(
    {
      ...{ id: 'PlannedFailover', segment: 'plannedFailover', access: 'Owner' },
      summary: 'Shuts the sources down and fails all members over without loss; the other way: fails back.',
    },
    plannedInput,
    ({ properties }) => {
      const inputs = properties.providerSpecificDetails ?? [];
      const isBack =
        properties.failoverDirection === 'RecoveryToPrimary' ||
        inputs.some(({ instanceType }) => instanceType === 'HyperVReplicaAzureFailback');
      return { verb: isBack ? 'failback' : 'plannedFailover' };
    },
  ),
  verb(
    {
      ...{ id: 'UnplannedFailover', segment: 'unplannedFailover', access: 'Owner' },
      summary: 'Fails all members over to a recovery point, whatever has become of the sources.',
    },
    unplannedInput,
    ({ properties }) => {
      requireToRecovery(properties.failoverDirection, 'unplannedFailover');
      const asksSource = properties.sourceSiteOperations === 'Required';
      return {
        verb: 'unplannedFailover',
        options: { ...pointOf(properties.providerSpecificDetails), asksSource },
      };
    },
  ),
  verb<undefined>(
    {
      ...{ id: 'FailoverCommit', segment: 'failoverCommit', access: 'Owner' },
      summary: 'Makes the failovers of all members final; their other recovery points go.',
    },
    undefined,
    () => ({ verb: 'failoverCommit' }),
  ),
  verb<undefined>(
    {
      ...{ id: 'FailoverCancel', segment: 'failoverCancel', access: 'Owner' },
      summary:
        'Undoes the failovers of all members that are not committed, also those that wait in the plan.',
    },
    undefined,
    () => ({ verb: 'failoverCancel' }),
  ),
  verb<undefined>(
    {
      ...{ id: 'Reprotect', segment: 'reProtect', access: 'Owner' },
      summary: 'After a failback: replication of all members goes its old way again.',
    },
    undefined,
    () => ({ verb: 'reProtect' }),
  ),
];
