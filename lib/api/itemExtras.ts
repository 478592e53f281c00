// What Site Recovery has no words for, beside its API: the state of an item in full, its RPO and statistics, scrubs, pauses, disks.
import * as z from 'zod';
import { copyTotals } from '../protection/copyProgress.ts';
import { allowedOperations } from '../protection/allowed.ts';
import { addDisk, growDisk, removeDisk } from '../protection/disks.ts';
import { healthErrorsAt } from '../protection/health.ts';
import { healthOf } from '../protection/item.ts';
import type { ItemRecord, RecoveryPointRecord } from '../protection/item.ts';
import { getItem, listHours, listRecoveryPoints } from '../protection/itemStore.ts';
import { pauseReplication, resumeReplication } from '../protection/pause.ts';
import { startScrub } from '../protection/scrub.ts';
import type { JobRecord } from '../jobs/job.ts';
import { LifeboatError } from '../errors.ts';
import { requireIdentifier } from '../replication/names.ts';
import { downSample, rpoChart } from '../rpo/chart.ts';
import { foldTime } from '../rpo/series.ts';
import { monitoringStart, replicationStatistics } from '../rpo/statistics.ts';
import { findPolicy } from '../vault/policies.ts';
import { accepted } from './arm.ts';
import type { ApiContext, RoutedRequest } from './http.ts';
import { operation } from './operation.ts';
import { pageOfAll } from './paging.ts';
import { findQuery } from './query.ts';

const path = '/lifeboat/v1/items/{item}';
const diskPath = `${path}/disks/{disk}`;

const itemModel = z
  .looseObject({ item: z.string(), state: z.string(), allowedOperations: z.array(z.string()) })
  .meta({ id: 'ItemState', description: 'Everything that is known of a protected item.' });

const itemOf = (params: RoutedRequest['params']): string =>
  requireIdentifier((params['item'] ?? '').toLowerCase(), 'The item');
const diskOf = (params: RoutedRequest['params']): string =>
  requireIdentifier((params['disk'] ?? '').toLowerCase(), 'The disk');

function diskBody({
  disk,
  name,
  type,
  sizeBytes,
  arrivedAt,
  joinedAtCycle,
  resync,
  pendingLogBytes,
  copied,
}: ItemRecord['disks'][number]) {
  return {
    ...{ disk, name, type, sizeBytes, arrivedAt, joinedAtCycle, pendingLogBytes },
    copied: copied && { bytes: copied.bytes, bytesPerSecond: copied.bytesPerSecond, at: copied.at },
    resync: resync && { reason: resync.reason, markedAt: resync.markedAt, message: resync.message },
  };
}

async function itemState(context: ApiContext, record: ItemRecord) {
  const { clock, storage } = context.replication;
  const policy = await findPolicy(storage.vault, record.policy);
  const healthErrors = healthErrorsAt(record, policy, clock.now(), context.replication);
  const { resync, retry, scrub } = record;
  return {
    ...{ item: record.item, name: record.name, site: record.fabric, machine: record.machine },
    ...{ machineName: record.machineName, policy: record.policy, state: record.state },
    ...{ currentJob: record.currentJob, pausedAt: record.pausedAt, appliedCycle: record.appliedCycle },
    allowedOperations: allowedOperations(record),
    replicationHealth: healthOf({ healthErrors }),
    healthErrors,
    latestPoint: record.latestPoint,
    failoverReadiness: record.readiness,
    lastCycleAt: record.lastCycleAt,
    retry: retry && {
      ...{ side: retry.side, code: retry.code, message: retry.message, attempt: retry.attempt },
      ...{ firstFailedAt: retry.firstFailedAt, nextAttemptAt: retry.nextAttemptAt },
    },
    resync: resync && {
      ...{ generation: resync.generation, jobId: resync.jobId, phase: resync.phase },
      ...{ isPaused: resync.isPaused, comparedBytes: resync.comparedBytes },
      ...{ differingBytes: resync.differingBytes, shippedBytes: resync.shippedBytes },
    },
    scrub: scrub && { scrubId: scrub.scrubId, requestedAt: scrub.requestedAt, cycle: scrub.cycle },
    estimates: { initialReplication: copyTotals(record) },
    disks: record.disks.map(diskBody),
  };
}

async function statisticsOf(context: ApiContext, record: ItemRecord) {
  const { clock, storage } = context.replication;
  const policy = await findPolicy(storage.vault, record.policy);
  if (!policy || !record.series) return { item: record.item, statistics: null };
  const now = clock.now();
  const { replicationIntervalSeconds: intervalSeconds, monitoringSeconds } = policy;
  const interval = { now, intervalSeconds, monitoringHours: monitoringSeconds / 3600 };
  const { series, closed } = foldTime(record.series, now, intervalSeconds);
  const stored = [...closed];
  for await (const hour of listHours(storage.items, record.item, monitoringStart(interval)))
    stored.push(hour);
  return { item: record.item, statistics: replicationStatistics(series, stored, interval) };
}

const seriesDays = 31;

function timeOf(query: URLSearchParams, name: string, otherwise: Date): Date {
  const text = findQuery(query, name);
  const time = text === undefined ? otherwise : new Date(text);
  if (!Number.isNaN(time.getTime())) return time;
  const message = `${name} must be a time such as 2026-01-31T18:00:00Z, not "${(text ?? '').slice(0, 40)}".`;
  throw new LifeboatError('InvalidRequest', message, { target: name });
}

function pointsOf(query: URLSearchParams): number {
  const text = findQuery(query, 'points') ?? '200';
  if (/^\d{1,4}$/.test(text) && Number(text) >= 1) return Math.min(1000, Number(text));
  throw new LifeboatError('InvalidRequest', 'points must be a number from 1 to 1000.', { target: 'points' });
}

async function rpoSeriesOf(context: ApiContext, record: ItemRecord, query: URLSearchParams) {
  const now = context.replication.clock.now();
  const until = timeOf(query, 'until', now);
  const from = timeOf(query, 'from', new Date(until.getTime() - seriesDays * 24 * 3_600_000));
  const points = pointsOf(query);
  const hours = [];
  for await (const hour of listHours(context.replication.storage.items, record.item, from, until))
    hours.push(hour);
  if (record.series) hours.push(record.series.current);
  return {
    ...{ item: record.item, from: from.toISOString(), until: until.toISOString() },
    rpoMilliseconds: downSample(rpoChart(hours), points),
  };
}

const getRecord = (context: ApiContext, params: RoutedRequest['params']): Promise<ItemRecord> =>
  getItem(context.replication.storage.items, itemOf(params));

/** 202 for a job; its result is the item's state. */
const acceptedItem = (context: ApiContext, request: RoutedRequest, job: JobRecord) =>
  accepted(context, {
    job,
    resource: `/lifeboat/v1/items/${itemOf(request.params)}`,
    apiVersion: request.apiVersion,
  });

const stateOperations = [
  operation({
    ...{ id: 'Items_Get', verb: 'GET', path, scope: 'service', access: 'Reader' },
    ...{ answers: 'resource', answer: itemModel },
    summary:
      'Shows everything about an item: retries, resynchronization, pending bytes, estimates, allowed operations.',
    handler: async (context, { params }) => ({
      status: 200,
      body: await itemState(context, await getRecord(context, params)),
    }),
  }),
  operation({
    ...{ id: 'Items_GetStatistics', verb: 'GET', path: `${path}/statistics`, scope: 'service' },
    ...{ access: 'Reader', answers: 'resource' },
    summary: 'Replication statistics over the monitoring interval of the policy.',
    handler: async (context, { params }) => ({
      status: 200,
      body: await statisticsOf(context, await getRecord(context, params)),
    }),
  }),
  operation({
    ...{ id: 'Items_GetRpo', verb: 'GET', path: `${path}/rpo`, scope: 'service', access: 'Reader' },
    ...{ answers: 'resource', query: { from: 'time', until: 'time', points: '1 to 1000, default 200' } },
    summary: 'The RPO over time; 31 days when nothing is asked for.',
    handler: async (context, { params, query }) => ({
      status: 200,
      body: await rpoSeriesOf(context, await getRecord(context, params), query),
    }),
  }),
  operation({
    ...{ id: 'Items_Pause', verb: 'POST', path: `${path}/pause`, scope: 'service', access: 'Operator' },
    ...{ answers: 'resource', answer: itemModel },
    summary: 'The source sends nothing until replication is resumed.',
    handler: async (context, { params }) => ({
      status: 200,
      body: await itemState(context, await pauseReplication(context.replication, itemOf(params))),
    }),
  }),
  operation({
    ...{ id: 'Items_Resume', verb: 'POST', path: `${path}/resume`, scope: 'service', access: 'Operator' },
    ...{ answers: 'resource', answer: itemModel },
    summary: 'Ends a pause or a suspension.',
    handler: async (context, { params }) => ({
      status: 200,
      body: await itemState(context, await resumeReplication(context.replication, itemOf(params))),
    }),
  }),
];

const scrubModel = z
  .looseObject({ recoveryPoint: z.string(), cycle: z.number() })
  .meta({ id: 'ScrubVerdict' });

const scrubOperations = [
  operation({
    ...{ id: 'Scrubs_Start', verb: 'POST', path: `${path}/scrubs`, scope: 'service', access: 'Operator' },
    ...{ answers: 'job', answer: itemModel },
    summary: 'Compares the next recovery point with the source, block by block.',
    handler: async (context, request) => {
      const item = itemOf(request.params);
      return acceptedItem(
        context,
        request,
        await startScrub(context.replication, context.orchestrations, item),
      );
    },
  }),
  operation({
    ...{ id: 'Scrubs_List', verb: 'GET', path: `${path}/scrubs`, scope: 'service', access: 'Reader' },
    ...{ answers: 'page', answer: scrubModel },
    summary: 'Lists the verdicts: recovery points that were compared with the source, newest first.',
    handler: async (context, request) => {
      const record = await getRecord(context, request.params);
      const points: RecoveryPointRecord[] = [];
      for await (const point of listRecoveryPoints(context.replication.storage.items, record.item))
        if (point.scrub !== null) points.push(point);
      return pageOfAll(context, request, {
        all: points,
        keyOf: ({ cycle }) => String(Number.MAX_SAFE_INTEGER - cycle).padStart(16, '0'),
        body: ({ id, cycle, takenAt, scrub }) => ({ recoveryPoint: id, cycle, takenAt, verdicts: scrub }),
      });
    },
  }),
];

const diskOperations = [
  operation({
    ...{ id: 'Disks_Add', verb: 'PUT', path: diskPath, scope: 'service', access: 'Operator' },
    ...{ answers: 'job', answer: itemModel },
    summary: 'Adds a disk that the inventory knows; the others go on replicating meanwhile.',
    handler: async (context, request) => {
      const { replication, orchestrations } = context;
      const job = await addDisk(replication, orchestrations, itemOf(request.params), diskOf(request.params));
      return acceptedItem(context, request, job);
    },
  }),
  operation({
    ...{ id: 'Disks_Grow', verb: 'PATCH', path: diskPath, scope: 'service', access: 'Operator' },
    body: z.object({ sizeBytes: z.number().int().positive() }).meta({ id: 'DiskGrowth' }),
    ...{ answers: 'job', answer: itemModel },
    summary: 'Makes the replica as large as the disk has become on the source.',
    handler: async (context, request) => {
      const { params, body } = request;
      const job = await growDisk(context.replication, itemOf(params), diskOf(params), body.sizeBytes);
      return acceptedItem(context, request, job);
    },
  }),
  operation({
    ...{ id: 'Disks_Remove', verb: 'DELETE', path: diskPath, scope: 'service', access: 'Owner' },
    ...{ answers: 'job', answer: itemModel },
    summary: 'Takes a disk out of replication; recovery points that include it keep it.',
    handler: async (context, request) => {
      const { params } = request;
      const job = await removeDisk(context.replication, itemOf(params), diskOf(params));
      return acceptedItem(context, request, job);
    },
  }),
];

export const itemExtraOperations = [...stateOperations, ...scrubOperations, ...diskOperations];
