// Failover beside Site Recovery's API: what a failover would cost and why it would fail, drills on a schedule, reports.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { defaultTestDueDays } from '../protection/health.ts';
import { getItem } from '../protection/itemStore.ts';
import { dataLossSeconds } from '../recovery/choosePoint.ts';
import { evidenceNames } from '../recovery/evidence.ts';
import { checkReadiness } from '../recovery/readinessCheck.ts';
import { estimateRto } from '../recovery/rtoEstimate.ts';
import { scheduleDrills } from '../recovery/testFailover.ts';
import { requireIdentifier } from '../replication/names.ts';
import type { ApiContext, RoutedRequest } from './http.ts';
import { operation } from './operation.ts';
import type { Operation } from './operation.ts';

const path = '/lifeboat/v1/items/{item}';
const itemOf = (params: RoutedRequest['params']): string =>
  requireIdentifier((params['item'] ?? '').toLowerCase(), 'The item');

const readinessModel = z
  .looseObject({ item: z.string(), isReady: z.boolean() })
  .meta({ id: 'FailoverReadiness', description: 'What a failover would use, lose, and fail for.' });

async function readiness({ replication }: ApiContext, item: string) {
  const record = await getItem(replication.storage.items, item);
  const now = replication.clock.now();
  const tested = record.lastGoodTestFailoverAt;
  const { issues, point } = await checkReadiness(replication, record, {
    lastSuccessAt: tested === null ? null : new Date(tested),
    ...{ now, warnAfterDays: replication.testDueDays ?? defaultTestDueDays },
  });
  return {
    item,
    isReady: issues.every(({ severity }) => severity !== 'Error'),
    issues,
    /** When the timer last looked: what the item's health follows from. */
    lastCheckedAt: record.readiness?.checkedAt ?? null,
    recoveryPoint: {
      id: point.id,
      cycle: point.cycle,
      takenAt: point.takenAt,
      consistency: point.consistency,
    },
    /** If the source were lost now. */
    dataLossSeconds: dataLossSeconds(point, now),
    ...estimateRto(record, replication.compute?.kind),
    lastGoodTestFailoverAt: tested,
  };
}

const drillBody = z
  .object({
    everyDays: z.number().int().min(1).max(365),
    marker: z.string().min(1).max(200).nullish(),
    bootLimitSeconds: z.number().int().min(10).max(7200).default(600),
  })
  .meta({ id: 'DrillSchedule' });

const reportFiles = {
  json: { name: 'json', type: 'application/json; charset=utf-8' },
  html: { name: 'html', type: 'text/html; charset=utf-8' },
  console: { name: 'console', type: 'text/plain; charset=utf-8' },
} as const;

async function readReport(
  { replication: { storage } }: ApiContext,
  item: string,
  jobId: string,
  format: keyof typeof reportFiles,
) {
  const name = evidenceNames(item, requireIdentifier(jobId.toLowerCase(), 'The job'))[
    reportFiles[format].name
  ];
  const found = await storage.evidence.find(name);
  if (!found) {
    const message = `Job ${jobId} of item ${item} has left no ${format === 'console' ? 'console' : 'report'}.`;
    throw new LifeboatError('ResourceNotFound', message, { target: jobId });
  }
  const range = { offsetBytes: 0, lengthBytes: found.sizeBytes };
  return {
    status: 200,
    headers: {
      'content-type': reportFiles[format].type,
      // What a guest wrote is shown as text, and the page may load nothing.
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
      'x-content-type-options': 'nosniff',
    },
    bytes: await storage.evidence.read(name, range, found.etag),
  };
}

const about = { scope: 'service', answers: 'resource' } as const;

export const recoveryExtraOperations: Operation[] = [
  operation({
    ...{ ...about, id: 'Items_GetFailoverReadiness', verb: 'GET', path: `${path}/failoverReadiness` },
    ...{ access: 'Reader', answer: readinessModel },
    summary: 'Says what a failover would lose now, and what in the settings would make it fail.',
    handler: async (context, { params }) => ({ status: 200, body: await readiness(context, itemOf(params)) }),
  }),
  operation({
    ...{
      ...about,
      id: 'Items_PutDrill',
      verb: 'PUT',
      path: `${path}/drill`,
      access: 'Operator',
      body: drillBody,
    },
    summary: 'Runs test failovers on a schedule, each with a look at the boot; the first one now.',
    handler: async ({ replication }, { params, body }) => {
      const { everyDays, marker, bootLimitSeconds } = body;
      const drill = { everyDays, marker: marker ?? null, bootLimitSeconds };
      await scheduleDrills(replication, itemOf(params), drill);
      return { status: 200, body: drill };
    },
  }),
  operation({
    ...{ ...about, id: 'Items_DeleteDrill', verb: 'DELETE', path: `${path}/drill`, access: 'Operator' },
    ...{ answers: 'nothing', summary: 'Ends the schedule; a drill that runs is not stopped.' },
    handler: async ({ replication }, { params }) => {
      await scheduleDrills(replication, itemOf(params), null);
      return { status: 204 };
    },
  }),
  ...(['json', 'html', 'console'] as const).map((format) =>
    operation({
      ...{ ...about, id: `Items_GetReport_${format}`, verb: 'GET', access: 'Reader' },
      path: `${path}/reports/{job}/${format}`,
      summary: `The ${format === 'console' ? 'serial console' : `report (${format})`} of a failover or drill.`,
      handler: (context, { params }) => readReport(context, itemOf(params), params['job'] ?? '', format),
    }),
  ),
];
