// The orchestrators under the names that the product starts them by: their kinds of job, and one for all verbs of plans.
import type { OrchestrationContext, Task } from 'durable-functions';
import type { OrchestratedKind, planOrchestration } from '../lib/protection/orchestrations.ts';
import { addDisk } from './addDisk.ts';
import { disableProtection } from './disableProtection.ts';
import { enableProtection } from './enableProtection.ts';
import { resynchronize } from './resynchronize.ts';
import { scrub } from './scrub.ts';
import { cancelFailover, changeRecoveryPoint, commitFailover } from './afterFailover.ts';
import { failback, reverseReplication } from './failback.ts';
import { plannedFailover, unplannedFailover } from './failover.ts';
import { recoveryPlan } from './recoveryPlan.ts';
import { testFailover } from './testFailover.ts';
import { testFailoverCleanup } from './testFailoverCleanup.ts';

type Orchestrator = (context: OrchestrationContext) => Generator<Task, void, never>;

export const orchestrators: Record<OrchestratedKind | typeof planOrchestration, Orchestrator> = {
  enableProtection,
  disableProtection,
  addDisk,
  resynchronize,
  scrub,
  testFailover,
  testFailoverCleanup,
  plannedFailover,
  unplannedFailover,
  changeRecoveryPoint,
  commitFailover,
  cancelFailover,
  failback,
  reverseReplication,
  recoveryPlan,
};
