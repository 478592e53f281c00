// Recovery plans beside Site Recovery's API: what would make a verb fail, and the key that webhooks are signed with.
import * as z from 'zod';
import { planVerbs } from '../jobs/planRun.ts';
import { getPlan, readMembers } from '../plans/planStore.ts';
import { planProblems } from '../plans/startPlan.ts';
import { verbTable } from '../plans/verbs.ts';
import { rotateWebhookKey, webhookKey } from '../plans/webhook.ts';
import { operation } from './operation.ts';
import type { Operation } from './operation.ts';

const readinessModel = z
  .strictObject({
    plan: z.string(),
    currentJob: z.string().nullable(),
    operations: z.array(
      z.strictObject({ operation: z.string(), isReady: z.boolean(), problems: z.array(z.string()) }),
    ),
  })
  .meta({ id: 'PlanReadiness', description: 'For every verb, all that keeps it from beginning.' });

const keyModel = z
  .strictObject({ key: z.string(), createdAt: z.string() })
  .meta({ id: 'WebhookKey', description: '32 bytes, base64url: the key of HMAC-SHA256.' });

const about = { scope: 'service', answers: 'resource' } as const;
const keyPath = '/lifeboat/v1/webhookKey';

export const recoveryPlanExtraOperations: Operation[] = [
  operation({
    ...{ ...about, id: 'Plans_GetReadiness', verb: 'GET', path: '/lifeboat/v1/plans/{plan}/readiness' },
    ...{ access: 'Reader', answer: readinessModel },
    summary: 'Says for every verb of a recovery plan what would make it fail.',
    handler: async ({ replication }, { params }) => {
      const plan = await getPlan(replication, params['plan'] ?? '');
      const views = await readMembers(replication, plan);
      const verbs = planVerbs.map((verb) => {
        const problems = planProblems(replication, plan, verb, views);
        return { operation: verbTable[verb].operation, isReady: problems.length === 0, problems };
      });
      return {
        status: 200,
        body: { plan: plan.name, currentJob: plan.currentJob, operations: verbs },
      };
    },
  }),
  operation({
    ...{ ...about, id: 'Webhooks_GetKey', verb: 'GET', path: keyPath, access: 'Owner' },
    ...{ isSecret: true, answer: keyModel },
    summary: 'The key that webhooks of recovery plans are signed with.',
    handler: async ({ replication, access }) => ({
      status: 200,
      body: await webhookKey(access, replication.clock.now()),
    }),
  }),
  operation({
    ...{ ...about, id: 'Webhooks_RotateKey', verb: 'POST', path: `${keyPath}/rotate`, access: 'Owner' },
    ...{ isSecret: true, answer: keyModel },
    summary: 'Makes a new key for webhooks; the old one signs nothing any more.',
    handler: async ({ replication, access }) => ({
      status: 200,
      body: await rotateWebhookKey(access, replication.clock.now()),
    }),
  }),
];
