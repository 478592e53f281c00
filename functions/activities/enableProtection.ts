// The activities of the orchestration enableProtection: each wraps one step of lib/protection/enable.ts.
import {
  checkPrerequisites,
  createTarget,
  failProtection,
  finalizeProtection,
  mergeQueuedLogs,
  startInitialReplication,
} from '../../lib/protection/enable.ts';
import { drainUntil } from '../limits.ts';
import { FailedChecks, registerActivity } from './activity.ts';

registerActivity('checkPrerequisites', async (context, job) => {
  const errors = await checkPrerequisites(context, job);
  if (errors.length > 0) throw new FailedChecks(errors);
  return undefined;
});

registerActivity('createReplicas', async (context, job) => {
  await createTarget(context, job);
  return undefined;
});

registerActivity('startInitialReplication', async (context, job) => {
  await startInitialReplication(context, job);
  return undefined;
});

registerActivity('mergeQueuedLogs', async (context, job) => {
  const outcome = await mergeQueuedLogs(context, job, { stopAt: drainUntil() });
  return { isMerged: outcome !== 'busy' && outcome !== 'more' };
});

registerActivity('finalizeProtection', async (context, job) => {
  await finalizeProtection(context, job);
  return undefined;
});

registerActivity('failProtection', async (context, { errors = [], ...job }) => {
  await failProtection(context, job, errors);
  return undefined;
});
