// Starting a failed or cancelled job of this folder again, with what it was started with.
import type { JobRecord } from '../jobs/job.ts';
import type { OrchestratedKind, OrchestrationClient } from '../protection/orchestrations.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { startCancel, startChangePoint, startCommit } from './afterFailover.ts';
import { startFailback, startReverse } from './failback.ts';
import { startFailover } from './failover.ts';
import { startTestCleanup, startTestFailover } from './testFailover.ts';

type Restart = (
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  item: string,
  input: Record<string, unknown>,
) => Promise<JobRecord>;

const textIn = (input: Record<string, unknown>, field: string): string => {
  const value = input[field];
  return typeof value === 'string' ? value : '';
};

const restarts = {
  testFailover: (context, orchestrations, item, input) =>
    startTestFailover(context, orchestrations, { ...input, item }),
  testFailoverCleanup: (context, orchestrations, item, input) =>
    startTestCleanup(context, orchestrations, item, textIn(input, 'comments')),
  plannedFailover: (context, orchestrations, item, input) =>
    startFailover(context, orchestrations, { ...input, item, kind: 'planned' }),
  unplannedFailover: (context, orchestrations, item, input) =>
    startFailover(context, orchestrations, { ...input, item, kind: 'unplanned' }),
  changeRecoveryPoint: (context, orchestrations, item, input) =>
    startChangePoint(context, orchestrations, item, textIn(input, 'pointId')),
  commitFailover: startCommit,
  cancelFailover: startCancel,
  failback: (context, orchestrations, item, input) =>
    startFailback(context, orchestrations, { item, syncsFirst: input['syncsFirst'] === true }),
  reverseReplication: startReverse,
} as const satisfies Partial<Record<OrchestratedKind, Restart>>;

export type RecoveryKind = keyof typeof restarts;

/** True for the kinds of job that this folder is about. */
export const isRecoveryKind = (kind: OrchestratedKind): kind is RecoveryKind => kind in restarts;

/** Begins a new job that does what `job` was to do. Throws what its request throws. */
export function restartRecovery(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  kind: RecoveryKind,
  { item, input, parentId }: { item: string; input: Record<string, unknown>; parentId: string | null },
): Promise<JobRecord> {
  const restart: Restart = restarts[kind];
  const { plan } = input;
  const on = typeof plan === 'string' ? { ...context, onBehalfOf: { jobId: parentId ?? '', plan } } : context;
  return restart(on, orchestrations, item, input);
}
