// Registers the orchestrators under the names that the product starts them by: their kinds of job.
import * as df from 'durable-functions';
import type { OrchestrationHandler } from 'durable-functions';
import { addDisk } from '../orchestrators/addDisk.ts';
import { disableProtection } from '../orchestrators/disableProtection.ts';
import { enableProtection } from '../orchestrators/enableProtection.ts';
import { resynchronize } from '../orchestrators/resynchronize.ts';
import { scrub } from '../orchestrators/scrub.ts';
import { cancelFailover, changeRecoveryPoint, commitFailover } from '../orchestrators/afterFailover.ts';
import { failback, reverseReplication } from '../orchestrators/failback.ts';
import { plannedFailover, unplannedFailover } from '../orchestrators/failover.ts';
import { testFailover } from '../orchestrators/testFailover.ts';
import { testFailoverCleanup } from '../orchestrators/testFailoverCleanup.ts';
import type { OrchestratedKind } from '../lib/protection/orchestrations.ts';

const orchestrators: Record<OrchestratedKind, OrchestrationHandler> = {
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
};

for (const [kind, orchestrator] of Object.entries(orchestrators)) df.app.orchestration(kind, orchestrator);
