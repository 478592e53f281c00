// Recovery plans.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { listItemPlaces } from '../protection/itemStore.ts';
import { changeStored, findStored, getStored, listStored } from '../vault/collection.ts';
import { planGroup, plans } from '../vault/recoveryPlans.ts';
import type { PlanGroup, PlanRecord } from '../vault/recoveryPlans.ts';
import { fabrics, getResource } from '../vault/resources.ts';
import { nameInId, resource, resourceId } from './arm.ts';
import { done } from './completedJobs.ts';
import type { ApiContext } from './http.ts';
import { recoveryPlanProperties } from './models/plans.ts';
import { resourceOf } from './models/wire.ts';
import { requireResourceName } from './names.ts';
import { notAvailable, operation } from './operation.ts';
import type { Operation } from './operation.ts';
import { pageOfAll } from './paging.ts';
import { parseItemId } from './protectedItemIds.ts';

const path = '/replicationRecoveryPlans/{plan}';
const planModel = resourceOf('RecoveryPlan', recoveryPlanProperties);
const limitItems = 100;
const azureFabric = ['microsoft azure', '21a9403c-6ec1-44f2-b744-b4e50b792387'];

const createInput = z
  .object({
    properties: z.object({
      primaryFabricId: z.string().min(1).max(1000),
      recoveryFabricId: z.string().min(1).max(1000).describe('"Microsoft Azure".'),
      failoverDeploymentModel: z.enum(['NotApplicable', 'Classic', 'ResourceManager']).nullish(),
      groups: z.array(planGroup).min(1).max(20),
      providerSpecificInput: z
        .array(z.looseObject({ instanceType: z.string().max(100) }))
        .max(10)
        .nullish(),
    }),
  })
  .meta({ id: 'CreateRecoveryPlanInput' });

const updateInput = z
  .object({ properties: z.object({ groups: z.array(planGroup).min(1).max(20).nullish() }).nullish() })
  .meta({ id: 'UpdateRecoveryPlanInput' });

const vaultOf = (context: ApiContext) => context.replication.storage.vault;
const invalid = (message: string, target: string) => new LifeboatError('InvalidRequest', message, { target });

/** The two fixed groups come first, each once, whether they were given or not. */
function ordered(groups: readonly PlanGroup[]): PlanGroup[] {
  const fixed = (['Shutdown', 'Failover'] as const).map((groupType) => {
    const given = groups.filter((group) => group.groupType === groupType);
    if (given.length > 1) throw invalid(`There is more than one ${groupType} group.`, 'properties.groups');
    if ((given[0]?.replicationProtectedItems ?? []).length > 0)
      throw invalid(
        `The ${groupType} group has no items of its own; they stand in Boot groups.`,
        'properties.groups',
      );
    return (
      given[0] ?? { groupType, replicationProtectedItems: [], startGroupActions: [], endGroupActions: [] }
    );
  });
  const boot = groups.filter(({ groupType }) => groupType === 'Boot');
  if (boot.length === 0) throw invalid('A recovery plan needs a Boot group.', 'properties.groups');
  return [...fixed, ...boot];
}

/** Throws `InvalidRequest` that names the item and the reason. */
async function checkItems(context: ApiContext, groups: readonly PlanGroup[], fabric: string): Promise<void> {
  const known = new Map<string, string>();
  for await (const item of listItemPlaces(context.replication.storage)) known.set(item.item, item.fabric);
  const seen = new Set<string>();
  for (const { id } of groups.flatMap(({ replicationProtectedItems }) => replicationProtectedItems ?? [])) {
    const item = parseItemId(id, 'properties.groups');
    const of = known.get(item);
    if (of === undefined) throw invalid(`Protected item "${item}" does not exist.`, 'properties.groups');
    if (of !== fabric)
      throw invalid(
        `Protected item "${item}" is in fabric "${of}", not in "${fabric}".`,
        'properties.groups',
      );
    if (seen.has(item))
      throw invalid(`Protected item "${item}" stands in the plan twice.`, 'properties.groups');
    seen.add(item);
  }
  if (seen.size > limitItems)
    throw invalid(`A plan has at most ${limitItems} items, this one has ${seen.size}.`, 'properties.groups');
}

function planBody({ settings }: ApiContext, plan: PlanRecord) {
  return resource(settings.vault, ['replicationRecoveryPlans', plan.name], {
    friendlyName: plan.name,
    primaryFabricId: resourceId(settings.vault, 'replicationFabrics', plan.primaryFabric),
    primaryFabricFriendlyName: plan.primaryFabric,
    recoveryFabricId: 'Microsoft Azure',
    recoveryFabricFriendlyName: 'Microsoft Azure',
    failoverDeploymentModel: plan.deploymentModel,
    replicationProviders: ['HyperVReplicaAzure'],
    // Verbs of a plan are offered when they work; see docs/api-coverage.md.
    allowedOperations: [],
    lastPlannedFailoverTime: null,
    lastUnplannedFailoverTime: null,
    lastTestFailoverTime: null,
    currentScenario: {
      scenarioName: 'None',
      jobId: resourceId(settings.vault, 'replicationJobs', 'None'),
      startTime: plan.createdAt,
    },
    currentScenarioStatus: null,
    currentScenarioStatusDescription: null,
    groups: plan.groups,
    providerSpecificDetails: [],
  });
}

const idOf = ({ settings }: ApiContext, name: string): string =>
  resourceId(settings.vault, 'replicationRecoveryPlans', name);

const direction = z.enum(['PrimaryToRecovery', 'RecoveryToPrimary']);
const failoverInputs = z
  .array(
    z.looseObject({
      instanceType: z.enum(['HyperVReplicaAzure', 'HyperVReplicaAzureFailback']),
      recoveryPointType: z.enum(['Latest', 'LatestApplicationConsistent', 'LatestProcessed']).nullish(),
    }),
  )
  .max(10)
  .nullish();

const verbs: { id: string; segment: string; access: 'Operator' | 'Owner'; body?: z.ZodType }[] = [
  {
    ...{ id: 'TestFailover', segment: 'testFailover', access: 'Operator' },
    body: z
      .object({
        properties: z.object({
          failoverDirection: direction,
          networkType: z.string().max(100),
          networkId: z.string().max(1000).nullish(),
          providerSpecificDetails: failoverInputs,
        }),
      })
      .meta({ id: 'RecoveryPlanTestFailoverInput' }),
  },
  {
    ...{ id: 'TestFailoverCleanup', segment: 'testFailoverCleanup', access: 'Operator' },
    body: z
      .object({ properties: z.object({ comments: z.string().max(1024).nullish() }) })
      .meta({ id: 'RecoveryPlanTestFailoverCleanupInput' }),
  },
  {
    ...{ id: 'PlannedFailover', segment: 'plannedFailover', access: 'Owner' },
    body: z
      .object({
        properties: z.object({ failoverDirection: direction, providerSpecificDetails: failoverInputs }),
      })
      .meta({ id: 'RecoveryPlanPlannedFailoverInput' }),
  },
  {
    ...{ id: 'UnplannedFailover', segment: 'unplannedFailover', access: 'Owner' },
    body: z
      .object({
        properties: z.object({
          failoverDirection: direction,
          sourceSiteOperations: z.enum(['Required', 'NotRequired']),
          providerSpecificDetails: failoverInputs,
        }),
      })
      .meta({ id: 'RecoveryPlanUnplannedFailoverInput' }),
  },
  { id: 'FailoverCommit', segment: 'failoverCommit', access: 'Owner' },
  { id: 'FailoverCancel', segment: 'failoverCancel', access: 'Owner' },
  { id: 'Reprotect', segment: 'reProtect', access: 'Owner' },
];

const verbOperations = verbs.map(({ id, segment, access, body }): Operation =>
  operation<unknown>({
    ...{ id: `ReplicationRecoveryPlans_${id}`, verb: 'POST', path: `${path}/${segment}`, access },
    ...{ state: 'later', answers: 'job', answer: planModel, ...(body ? { body } : {}) },
    summary: `Starts ${segment} of all machines of the plan. Checked, then refused: plans do not run yet.`,
    handler: async (context, { params }) => {
      await getStored(vaultOf(context), plans, params['plan'] ?? '');
      throw notAvailable(`${segment} of recovery plans`);
    },
  }),
);

export const recoveryPlanOperations = [
  operation({
    ...{ id: 'ReplicationRecoveryPlans_List', verb: 'GET', path: '/replicationRecoveryPlans' },
    ...{ access: 'Reader', answers: 'page', answer: planModel, summary: 'Lists the recovery plans.' },
    handler: async (context, request) =>
      pageOfAll(context, request, {
        all: await listStored(vaultOf(context), plans),
        keyOf: plans.keyOf,
        body: (plan) => planBody(context, plan),
      }),
  }),
  operation({
    ...{ id: 'ReplicationRecoveryPlans_Get', verb: 'GET', path, access: 'Reader' },
    ...{ summary: 'Shows a recovery plan.', answers: 'resource', answer: planModel },
    handler: async (context, { params }) => {
      const { record, etag } = await getStored(vaultOf(context), plans, params['plan'] ?? '');
      return { status: 200, headers: { etag }, body: planBody(context, record) };
    },
  }),
  operation({
    ...{ id: 'ReplicationRecoveryPlans_Create', verb: 'PUT', path, access: 'Operator', body: createInput },
    ...{ answers: 'job', answer: planModel },
    summary: 'Makes or replaces a recovery plan. Every item must exist, in the named fabric, once.',
    handler: async (context, request) => {
      const name = requireResourceName(request.params['plan'] ?? '', 'recovery plan');
      const { primaryFabricId, recoveryFabricId, failoverDeploymentModel, groups } = request.body.properties;
      if (!azureFabric.includes(recoveryFabricId.toLowerCase()))
        throw invalid('recoveryFabricId is "Microsoft Azure".', 'properties.recoveryFabricId');
      const fabric = await getResource(
        vaultOf(context),
        fabrics,
        nameInId(primaryFabricId, 'replicationFabrics'),
      );
      const inOrder = ordered(groups);
      await checkItems(context, inOrder, fabric.name);
      const plan: PlanRecord = {
        ...{ name, primaryFabric: fabric.name, groups: inOrder },
        deploymentModel: failoverDeploymentModel ?? 'ResourceManager',
        createdAt: context.replication.clock.now().toISOString(),
      };
      await changeStored(vaultOf(context), plans, { key: name, ifMatch: request.ifMatch }, (known) => ({
        ...plan,
        ...(known ? { name: known.name, createdAt: known.createdAt } : {}),
      }));
      const stored = await findStored(vaultOf(context), plans, name);
      const targetName = stored?.record.name ?? name;
      return done(context, request, { kind: 'createPlan', targetId: idOf(context, targetName), targetName });
    },
  }),
  operation({
    ...{ id: 'ReplicationRecoveryPlans_Update', verb: 'PATCH', path, access: 'Operator', body: updateInput },
    ...{ summary: 'Replaces the groups of a recovery plan.', answers: 'job', answer: planModel },
    handler: async (context, request) => {
      const { record } = await getStored(vaultOf(context), plans, request.params['plan'] ?? '');
      const given = request.body.properties?.groups;
      const groups = given ? ordered(given) : undefined;
      if (groups) await checkItems(context, groups, record.primaryFabric);
      await changeStored(
        vaultOf(context),
        plans,
        { key: record.name, ifMatch: request.ifMatch },
        (known) => known && { ...known, groups: groups ?? known.groups },
      );
      const targetId = idOf(context, record.name);
      return done(context, request, { kind: 'updatePlan', targetId, targetName: record.name });
    },
  }),
  operation({
    ...{ id: 'ReplicationRecoveryPlans_Delete', verb: 'DELETE', path, access: 'Owner', answers: 'job' },
    summary: 'Deletes a recovery plan; its machines stay protected.',
    handler: async (context, request) => {
      const { record } = await getStored(vaultOf(context), plans, request.params['plan'] ?? '');
      const where = { key: record.name, ifMatch: request.ifMatch };
      await changeStored(vaultOf(context), plans, where, () => undefined);
      const targetId = idOf(context, record.name);
      return done(context, request, { kind: 'deletePlan', targetId, targetName: record.name });
    },
  }),
  ...verbOperations,
];
