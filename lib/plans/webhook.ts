// A webhook of a plan: what is sent, and how the receiver knows that it comes from here. docs/recovery.md has the rules for whoever
// writes a receiver.
import { createHmac, randomBytes } from 'node:crypto';
import * as z from 'zod';
import type { PlanRun } from '../jobs/planRun.ts';
import { isLifeboatError } from '../errors.ts';
import type { TablePort } from '../storage/ports.ts';
import { verbTable } from './verbs.ts';

const partition = 'plans';
const keyName = 'webhookKey';
const keyRow = z.object({ key: z.string(), createdAt: z.iso.datetime() });
export type WebhookKey = z.infer<typeof keyRow>;

const newKey = (at: Date): WebhookKey => ({
  key: randomBytes(32).toString('base64url'),
  createdAt: at.toISOString(),
});

/** The vault's key; made when it is asked for the first time. */
export async function webhookKey(access: TablePort, now: Date): Promise<WebhookKey> {
  const row = await access.find(partition, keyName);
  if (row) return keyRow.parse(row.value);
  try {
    const made = newKey(now);
    await access.transact(partition, [{ kind: 'insert', key: keyName, value: made }]);
    return made;
  } catch (error) {
    // Somebody else made it in the same moment.
    if (isLifeboatError(error, 'PreconditionFailed')) return webhookKey(access, now);
    throw error;
  }
}

/** A new key; the old one signs nothing any more. */
export async function rotateWebhookKey(access: TablePort, now: Date): Promise<WebhookKey> {
  const made = newKey(now);
  await access.transact(partition, [{ kind: 'put', key: keyName, value: made }]);
  return made;
}

/** What a receiver compares: HMAC-SHA256 over `<timestamp>.<body>`, hex. */
const signatureOf = (key: string, timestamp: string, body: string): string =>
  createHmac('sha256', Buffer.from(key, 'base64url')).update(`${timestamp}.${body}`).digest('hex');

export interface WebhookAbout {
  jobId: string;
  run: Pick<PlanRun, 'plan' | 'verb' | 'groups' | 'members'>;
  stepIndex: number;
  group: number;
  actionName: string;
}

/** The request's body and headers; the same `x-lifeboat-delivery` at every try, so that a receiver can tell a repetition. */
export function webhookRequest(
  { jobId, run, stepIndex, group, actionName }: WebhookAbout,
  key: string,
  now: Date,
): { body: string; headers: Record<string, string> } {
  const { operation, direction } = verbTable[run.verb];
  const body = JSON.stringify({
    recoveryPlanName: run.plan,
    failoverType: operation,
    failoverDirection: direction,
    groupName: run.groups[group]?.name ?? '',
    actionName,
    jobId,
    machines: run.members.map(({ name, machineName, standing }) => ({
      ...{ name, machineName, takesPart: standing !== 'done' },
    })),
  });
  const timestamp = String(Math.floor(now.getTime() / 1000));
  return {
    body,
    headers: {
      'content-type': 'application/json',
      'user-agent': 'lifeboat',
      'x-lifeboat-timestamp': timestamp,
      'x-lifeboat-signature': `sha256=${signatureOf(key, timestamp, body)}`,
      'x-lifeboat-delivery': `${jobId}-${stepIndex}`,
    },
  };
}
