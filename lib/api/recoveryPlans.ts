// Recovery plans: making, reading, changing, deleting. recoveryPlanVerbs.ts runs them.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { listItemPlaces } from '../protection/itemStore.ts';
import { planBusy, requireAtRest } from '../plans/planStore.ts';
import { changeStored, findStored, getStored, listStored } from '../vault/collection.ts';
import { planGroup, plans } from '../vault/recoveryPlans.ts';
import type { PlanGroup, PlanRecord } from '../vault/recoveryPlans.ts';
import { fabrics, getResource } from '../vault/resources.ts';
import { nameInId } from './arm.ts';
import { done } from './completedJobs.ts';
import type { ApiContext } from './http.ts';
import { requireResourceName } from './names.ts';
import { operation } from './operation.ts';
import { pageOfAll } from './paging.ts';
import { parseItemId } from './protectedItemIds.ts';
import { planBodies, planBody, planId, planModel, planPath as path } from './recoveryPlanBody.ts';

const limitItems = 100;
const limitActions = 100;
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
  const actions = groups.flatMap((group) => [
    ...(group.startGroupActions ?? []),
    ...(group.endGroupActions ?? []),
  ]);
  if (actions.length > limitActions) {
    const message = `A plan has at most ${limitActions} actions, this one has ${actions.length}.`;
    throw invalid(message, 'properties.groups');
  }
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

/** The plan as somebody may change it: no job has begun since it was looked at, and none that is over can be restarted then. */
function changeable(plan: PlanRecord): PlanRecord {
  if (plan.currentJob !== null) throw planBusy(plan.name, plan.currentJob);
  return { ...plan, lastJob: null };
}

export const recoveryPlanOperations = [
  operation({
    ...{ id: 'ReplicationRecoveryPlans_List', verb: 'GET', path: '/replicationRecoveryPlans' },
    ...{ access: 'Reader', answers: 'page', answer: planModel, summary: 'Lists the recovery plans.' },
    handler: async (context, request) =>
      pageOfAll(context, request, {
        all: await listStored(vaultOf(context), plans),
        keyOf: plans.keyOf,
        body: (plan) => planBody(context, plan),
        bodies: (some) => planBodies(context, some),
      }),
  }),
  operation({
    ...{ id: 'ReplicationRecoveryPlans_Get', verb: 'GET', path, access: 'Reader' },
    ...{ summary: 'Shows a recovery plan.', answers: 'resource', answer: planModel },
    handler: async (context, { params }) => {
      const { record, etag } = await getStored(vaultOf(context), plans, params['plan'] ?? '');
      return { status: 200, headers: { etag }, body: await planBody(context, record) };
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
        ...{ currentJob: null, lastJob: null },
        ...{ lastTestFailoverAt: null, lastPlannedFailoverAt: null, lastUnplannedFailoverAt: null },
      };
      const before = await findStored(vaultOf(context), plans, name);
      if (before) await requireAtRest(context.replication, before.record);
      await changeStored(vaultOf(context), plans, { key: name, ifMatch: request.ifMatch }, (known) => {
        if (!known) return plan;
        const { primaryFabric, groups: changed, deploymentModel } = plan;
        return { ...changeable(known), primaryFabric, groups: changed, deploymentModel };
      });
      const stored = await findStored(vaultOf(context), plans, name);
      const targetName = stored?.record.name ?? name;
      return done(context, request, {
        kind: 'createPlan',
        targetId: planId(context, targetName),
        targetName,
      });
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
      await requireAtRest(context.replication, record);
      await changeStored(
        vaultOf(context),
        plans,
        { key: record.name, ifMatch: request.ifMatch },
        (known) => known && { ...changeable(known), groups: groups ?? known.groups },
      );
      const targetId = planId(context, record.name);
      return done(context, request, { kind: 'updatePlan', targetId, targetName: record.name });
    },
  }),
  operation({
    ...{ id: 'ReplicationRecoveryPlans_Delete', verb: 'DELETE', path, access: 'Owner', answers: 'job' },
    summary: 'Deletes a recovery plan; its machines stay protected.',
    handler: async (context, request) => {
      const { record } = await getStored(vaultOf(context), plans, request.params['plan'] ?? '');
      const where = { key: record.name, ifMatch: request.ifMatch };
      await requireAtRest(context.replication, record);
      await changeStored(vaultOf(context), plans, where, (known) => {
        if (known) changeable(known);
        return undefined;
      });
      const targetId = planId(context, record.name);
      return done(context, request, { kind: 'deletePlan', targetId, targetName: record.name });
    },
  }),
];
