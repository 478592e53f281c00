// The names and payloads that the pure product and the Durable side share.
import type { JobKindName } from '../jobs/job.ts';

/** Starts and signals orchestrations; the edge implements it with the Durable client. */
export interface OrchestrationClient {
  /** Starts an orchestration under this instance id; no change when it exists already. */
  start(name: string, instanceId: string, input: object): Promise<void>;
  /** Delivers an event; an instance that is over or unknown: no change. Events may arrive twice. */
  raiseEvent(instanceId: string, eventName: string): Promise<void>;
}

/**
 * The only event: something that the job may wait for has changed. The orchestration wakes and looks at the rows, so an
 * event too many does nothing, and a lost one is raised again by the reconciliation timer.
 */
export const changedEvent = 'changed';

/** Kinds of job that are orchestrations on an item; an orchestration has the name of its kind. */
export const orchestratedKinds = [
  'enableProtection',
  'disableProtection',
  'addDisk',
  'resynchronize',
  'scrub',
  'testFailover',
  'testFailoverCleanup',
  'plannedFailover',
  'unplannedFailover',
  'changeRecoveryPoint',
  'commitFailover',
  'cancelFailover',
  'failback',
  'reverseReplication',
] as const satisfies readonly JobKindName[];
export type OrchestratedKind = (typeof orchestratedKinds)[number];

/** The orchestration of every job of a recovery plan. */
export const planOrchestration = 'recoveryPlan';

/** Input of that orchestration and of its activities. */
export interface PlanJob {
  plan: string;
  jobId: string;
}

/** Input of every orchestration and activity that works for a job on an item. */
export interface ItemJob {
  item: string;
  jobId: string;
}
