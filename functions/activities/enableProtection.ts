// The activities of the orchestration enableProtection: each wraps one step of lib/protection/enable.ts.
import type { ErrorRecord } from '../../lib/errors.ts';
import {
  checkPrerequisites,
  createTarget,
  failProtection,
  finalizeProtection,
  mergeQueuedLogs,
  startInitialReplication,
} from '../../lib/protection/enable.ts';
import type { ItemJob } from '../../lib/protection/orchestrations.ts';
import { drainUntil } from '../limits.ts';
import { FailedChecks, registerActivity } from './activity.ts';

registerActivity<ItemJob>('checkPrerequisites', async (context, job) => {
  const errors = await checkPrerequisites(context, job);
  if (errors.length > 0) throw new FailedChecks(errors);
  return undefined;
});

registerActivity<ItemJob>('createReplicas', async (context, job) => {
  await createTarget(context, job);
  return undefined;
});

registerActivity<ItemJob>('startInitialReplication', async (context, job) => {
  await startInitialReplication(context, job);
  return undefined;
});

registerActivity<ItemJob>('mergeQueuedLogs', async (context, job) => {
  const outcome = await mergeQueuedLogs(context, job, { stopAt: drainUntil() });
  return { isMerged: outcome !== 'busy' && outcome !== 'more' };
});

registerActivity<ItemJob>('finalizeProtection', async (context, job) => {
  await finalizeProtection(context, job);
  return undefined;
});

registerActivity<ItemJob & { errors: ErrorRecord[] }>(
  'failProtection',
  async (context, { errors, ...job }) => {
    await failProtection(context, job, errors);
    return undefined;
  },
);
