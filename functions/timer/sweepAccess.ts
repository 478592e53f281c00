// Forgets what the table of access keeps for a time only: used assertions, answers to repeated requests, the old audit.
import { app } from '@azure/functions';
import type { InvocationContext } from '@azure/functions';
import { sweepAccess } from '../../lib/api/accessSweep.ts';
import { services } from '../services.ts';

/** Rows of one run; an hour later the next one goes on. */
const limit = 20_000;

async function sweep(_timer: unknown, invocation: InvocationContext): Promise<void> {
  const { settings, storage } = await services();
  const auditDays = settings.LIFEBOAT_AUDIT_RETENTION_DAYS;
  const deleted = await sweepAccess(storage.access, new Date(), { auditDays, limit });
  invocation.log(`forgot ${deleted} rows of the table of access`);
}

app.timer('sweepAccess', { schedule: '0 37 * * * *', handler: sweep });
