// What a timer does when it looks at an item: statistics, copy progress, health, and the events that tell of it. Idempotent; says
// when to look again (lib/agenda).
import { plan } from '../agenda/agenda.ts';
import { recordEvent } from '../events/events.ts';
import type { ReplicationContext } from '../replication/context.ts';
import type { HourBucket } from '../rpo/bucket.ts';
import { foldTime } from '../rpo/series.ts';
import { monitoringStart, replicationStatistics } from '../rpo/statistics.ts';
import type { PolicyRecord } from '../vault/policies.ts';
import { findPolicy } from '../vault/policies.ts';
import { copyProgress } from './copyProgress.ts';
import { healthErrorsAt, nextHealthLook } from './health.ts';
import type { HealthError, ItemRecord } from './item.ts';
import { hourRow, listHours, updateItem } from './itemStore.ts';
import { changedEvent } from './orchestrations.ts';
import type { OrchestrationClient } from './orchestrations.ts';

type SinceLastLook = Pick<ItemRecord, 'series' | 'missedCycles'>;

async function statisticsOf(
  { storage, clock }: ReplicationContext,
  record: ItemRecord,
  policy: PolicyRecord,
): Promise<SinceLastLook['missedCycles']> {
  if (!record.series) return null;
  const interval = {
    now: clock.now(),
    intervalSeconds: policy.replicationIntervalSeconds,
    monitoringHours: policy.monitoringSeconds / 3600,
  };
  const stored: HourBucket[] = [];
  for await (const hour of listHours(storage.items, record.item, monitoringStart(interval)))
    stored.push(hour);
  const { missedCycles, expectedCycles } = replicationStatistics(record.series, stored, interval);
  return { missed: missedCycles, expected: expectedCycles };
}

async function recordHealthEvents(
  context: ReplicationContext,
  record: ItemRecord,
  errors: readonly HealthError[],
): Promise<void> {
  for (const { code, level, message, raisedAt } of errors) {
    await recordEvent(context.storage.jobs, {
      ...{ at: raisedAt, eventType: 'VmHealth', severity: level, eventCode: code, description: message },
      ...{ objectName: record.machineName, objectId: record.item, fabric: record.fabric },
      ...{ jobId: null, jobStatus: null },
    });
  }
}

/** Health, statistics and copy progress of an item, and the start of a job that waits for its time. */
export async function lookAtHealth(
  context: ReplicationContext,
  orchestrations: OrchestrationClient,
  before: ItemRecord,
): Promise<string | null> {
  const { storage, clock } = context;
  const policy = await findPolicy(storage.vault, before.policy);
  const now = clock.now();
  if (before.state === 'EnablingProtection' && before.currentJob !== null && before.startAt !== null)
    await orchestrations.raiseEvent(before.currentJob, changedEvent);
  await copyProgress(context, before);
  // The policy began to want comparisons.
  const wantsScrubs = policy !== undefined && policy.scrubEveryDays !== null;
  if (wantsScrubs && before.state === 'Protected' && !before.agenda.scrub)
    await plan(context, 'scrub', before.item, now.toISOString());
  // Its readiness is looked at from then on; items of earlier versions are caught up with here.
  if (before.state === 'Protected' && !before.agenda.readiness)
    await plan(context, 'readiness', before.item, now.toISOString());
  const missedCycles = policy ? await statisticsOf(context, before, policy) : null;
  let closed: readonly HourBucket[] = [];
  const after = await updateItem(
    storage.items,
    before.item,
    (record) => {
      const folded =
        record.series && policy ? foldTime(record.series, now, policy.replicationIntervalSeconds) : undefined;
      closed = folded?.closed ?? [];
      const noted = { ...record, missedCycles, series: folded?.series ?? record.series };
      return { ...noted, healthErrors: healthErrorsAt(noted, policy, now, context) };
    },
    () => closed.map(hourRow),
  );
  await recordHealthEvents(context, after, after.healthErrors);
  return nextHealthLook(after, policy, now);
}
