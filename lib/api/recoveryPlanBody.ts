// A recovery plan as answers carry it.
import { findJob } from '../jobs/jobStore.ts';
import { describeJobState } from '../jobs/job.ts';
import { planOperations } from '../plans/members.ts';
import { readMembers } from '../plans/planStore.ts';
import type { PlanRecord } from '../vault/recoveryPlans.ts';
import { resource, resourceId } from './arm.ts';
import type { ApiContext } from './http.ts';
import { recoveryPlanProperties } from './models/plans.ts';
import { resourceOf } from './models/wire.ts';

export const planPath = '/replicationRecoveryPlans/{plan}';
export const planModel = resourceOf('RecoveryPlan', recoveryPlanProperties);

export const planId = ({ settings }: ApiContext, name: string): string =>
  resourceId(settings.vault, 'replicationRecoveryPlans', name);

/** The job that runs the plan, as `currentScenario` names it. */
async function scenarioOf({ settings, replication }: ApiContext, { currentJob, createdAt }: PlanRecord) {
  const job = currentJob === null ? undefined : await findJob(replication.storage.jobs, currentJob);
  return {
    currentScenario: {
      scenarioName: job?.scenario ?? 'None',
      jobId: resourceId(settings.vault, 'replicationJobs', job?.id ?? 'None'),
      startTime: job?.startTime ?? job?.createdAt ?? createdAt,
    },
    currentScenarioStatus: job?.state ?? null,
    currentScenarioStatusDescription: job ? describeJobState(job.state) : null,
  };
}

export async function planBody(context: ApiContext, plan: PlanRecord) {
  const { settings, replication } = context;
  const isIdle = plan.currentJob === null;
  const views = isIdle ? await readMembers(replication, plan) : [];
  return resource(settings.vault, ['replicationRecoveryPlans', plan.name], {
    friendlyName: plan.name,
    primaryFabricId: resourceId(settings.vault, 'replicationFabrics', plan.primaryFabric),
    primaryFabricFriendlyName: plan.primaryFabric,
    recoveryFabricId: 'Microsoft Azure',
    recoveryFabricFriendlyName: 'Microsoft Azure',
    failoverDeploymentModel: plan.deploymentModel,
    replicationProviders: ['HyperVReplicaAzure'],
    allowedOperations: isIdle ? planOperations(plan.name, views) : [],
    lastPlannedFailoverTime: plan.lastPlannedFailoverAt,
    lastUnplannedFailoverTime: plan.lastUnplannedFailoverAt,
    lastTestFailoverTime: plan.lastTestFailoverAt,
    ...(await scenarioOf(context, plan)),
    groups: plan.groups,
    providerSpecificDetails: [],
  });
}

/** One after another: each reads its own members. */
export async function planBodies(context: ApiContext, some: readonly PlanRecord[]) {
  const bodies = [];
  for (const plan of some) bodies.push(await planBody(context, plan));
  return bodies;
}
