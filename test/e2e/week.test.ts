// A week and a day in the life of a protected machine, on a clock of its own: initial replication, 2,000 cycles, an outage of the storage,
// an outage of the source, a chain gap by day, the change to summer time, retention in tiers. Asserted on rows, blobs and bytes.
import { beforeAll, describe, expect, it } from 'vitest';
import { LifeboatError } from '../../lib/errors.ts';
import { listEvents } from '../../lib/events/events.ts';
import { listHours } from '../../lib/protection/itemStore.ts';
import { replicaName } from '../../lib/replication/names.ts';
import type { Storage } from '../../lib/storage/ports.ts';
import { item, Lifecycle } from '../support/lifecycle.ts';
import { hourMs, minuteMs } from '../support/manualClock.ts';

const dayMs = 24 * hourMs;
const cycleMs = 5 * minuteMs;

/** The account of the service: it can be away. */
class Outage {
  isOn = false;

  wrap(storage: Storage): Storage {
    const guard = async <T>(work: () => Promise<T>): Promise<T> => {
      if (this.isOn) throw new LifeboatError('StorageUnavailable', 'the account does not answer');
      return work();
    };
    return {
      ...storage,
      deltas: { ...storage.deltas, read: (...args) => guard(() => storage.deltas.read(...args)) },
      replicas: {
        ...storage.replicas,
        writePages: (...args) => guard(() => storage.replicas.writePages(...args)),
        snapshot: (...args) => guard(() => storage.replicas.snapshot(...args)),
      },
    };
  }
}

interface Attempt {
  at: string;
  attempt: number;
}

/** The week, told once; the tests look at what it left and at what was noted on the way. */
async function liveAWeek() {
  const outage = new Outage();
  const lifecycle = await Lifecycle.create({
    // Wednesday before the change to summer time in Berlin (Sunday 2026-03-29, 02:00 → 03:00).
    start: '2026-03-25T07:00:00.000Z',
    sizes: { os: 1_400_320, data: 300 * 512 },
    policy: {
      recoveryPointHistoryHours: 24,
      hourlyHours: 72,
      dailyDays: 7,
      resyncWindow: { start: '18:30', end: '06:00', timeZone: 'Europe/Berlin', pauseAtEnd: true },
    },
    wrap: (storage) => outage.wrap(storage),
  });
  const { source, clock } = lifecycle;
  const attempts: Attempt[] = [];
  const noteAttempt = async () => {
    const { retry } = await lifecycle.record();
    if (retry && attempts.at(-1)?.at !== retry.lastFailedAt)
      attempts.push({ at: retry.lastFailedAt, attempt: retry.attempt });
  };
  let isSourceDown = false;
  const cycles = { sent: 0, verified: 0 };
  /** Lives on: a tick a minute, a cycle every five. */
  const live = async (ms: number, eachMinute?: () => Promise<void>) => {
    for (let passed = 0; passed < ms; passed += minuteMs) {
      clock.advance(minuteMs);
      const isTurn = (clock.now().getTime() / minuteMs) % 5 === 0;
      const record = await lifecycle.record();
      const isBlocked = record.disks.some(({ resync }) => resync !== null) || record.resync !== null;
      if (isTurn && !isSourceDown && !isBlocked) {
        await source.cycle(2);
        cycles.sent++;
      }
      if (record.resync?.phase === 'comparing') await source.resynchronize();
      await lifecycle.settle();
      await eachMinute?.();
      // Newer points are verified at once: retention will prune them.
      if (isTurn && !outage.isOn) await lifecycle.verifiedCycles((cycle) => cycle === record.appliedCycle);
    }
  };

  await lifecycle.enable();
  await source.copyDisks(clock.now().toISOString());
  await lifecycle.settle();
  const enabled = await lifecycle.record();
  await live(dayMs);

  // Thursday: the account is away for three hours.
  const outageFrom = clock.now().getTime() + cycleMs;
  outage.isOn = true;
  await live(3 * hourMs, noteAttempt);
  const duringOutage = await lifecycle.record();
  outage.isOn = false;
  await live(hourMs);
  const afterOutage = await lifecycle.record();

  // Friday at 10:00 in Berlin: a log is lost for good; the next one names it as its predecessor.
  await live(Date.parse('2026-03-27T09:00:00.000Z') - clock.now().getTime());
  const gap = async () => {
    const assignment = await source.assignment();
    source.cutCycle(assignment);
    const next = source.cutCycle(assignment);
    await source.send(
      ...next.map((log) => ({
        ...log,
        name: log.name.replace(/\d{12}/, String(assignment.nextCycle).padStart(12, '0')),
      })),
    );
    await lifecycle.settle();
    const marked = await lifecycle.record();
    let openedAt = '';
    const openings = async () => {
      const { resync } = await lifecycle.record();
      if (resync && openedAt === '') openedAt = resync.startedAt;
    };
    await live(12 * hourMs, openings);
    return { marked, openedAt, after: await lifecycle.record() };
  };
  const beforeSummerTime = await gap();

  // Saturday: the source is away for three hours and says so when it is back.
  await live(Date.parse('2026-03-28T12:00:00.000Z') - clock.now().getTime());
  isSourceDown = true;
  await source.report('NetworkUnavailable', 'The service cannot be reached.');
  const reported = await lifecycle.record();
  await live(3 * hourMs);
  const silent = await lifecycle.record();
  isSourceDown = false;
  await live(hourMs);
  const recovered = await lifecycle.record();

  // Monday, on summer time: another gap.
  await live(Date.parse('2026-03-30T08:00:00.000Z') - clock.now().getTime());
  const afterSummerTime = await gap();

  await live(Date.parse('2026-04-02T07:00:00.000Z') - clock.now().getTime());
  return {
    ...{ lifecycle, cycles, attempts, outageFrom, enabled, duringOutage, afterOutage },
    ...{ beforeSummerTime, afterSummerTime, reported, silent, recovered },
  };
}

describe('a week', { timeout: 240_000 }, () => {
  let week: Awaited<ReturnType<typeof liveAWeek>>;
  beforeAll(async () => {
    week = await liveAWeek();
  }, 240_000);

  it('replicates 2,000 cycles, and what is kept of them equals the source', async () => {
    const record = await week.lifecycle.record();
    expect(week.enabled.state).toBe('Protected');
    expect(record.appliedCycle).toBeGreaterThanOrEqual(2000);
    const kept = await week.lifecycle.verifiedCycles();
    expect(kept.at(-1)).toBe(record.appliedCycle);
    expect(record.healthErrors).toEqual([]);
  });

  it('tries again after 1, 2, 4, 8, 10 minutes and then every half hour, and merges what waited', () => {
    const minutes = week.attempts.map(({ at }) => (Date.parse(at) - week.outageFrom) / minuteMs);
    expect(minutes).toEqual([0, 1, 2, 4, 8, 10, 40, 70, 100, 130, 160]);
    expect(week.duringOutage.retry).toMatchObject({
      side: 'service',
      code: 'StorageUnavailable',
      attempt: 11,
    });
    expect(week.duringOutage.healthErrors.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['ReplicationRetrying', 'RpoExceeded', 'ReplicationStalled']),
    );
    expect(week.afterOutage.retry).toBeNull();
    expect(week.afterOutage.appliedCycle - week.duringOutage.appliedCycle).toBeGreaterThan(36);
  });

  it('marks a gap by day and resynchronizes at night, by the clock of the site', () => {
    const { beforeSummerTime, afterSummerTime } = week;
    for (const { marked, after } of [beforeSummerTime, afterSummerTime]) {
      expect(marked.disks.map(({ resync }) => resync?.reason)).toEqual(['LogChainBroken', 'LogChainBroken']);
      expect(marked.resync).toBeNull();
      expect(after.disks.map(({ resync }) => resync)).toEqual([null, null]);
      expect(after.appliedCycle).toBeGreaterThan(marked.appliedCycle);
    }
    expect(beforeSummerTime.marked.agenda.resync).toBe('2026-03-27T17:30:00.000Z');
    expect(beforeSummerTime.openedAt).toBe('2026-03-27T17:30:00.000Z');
    expect(afterSummerTime.marked.agenda.resync).toBe('2026-03-30T16:30:00.000Z');
    expect(afterSummerTime.openedAt).toBe('2026-03-30T16:30:00.000Z');
  });

  it('shows the source’s outage and forgets it when cycles come again', () => {
    expect(week.reported.retry).toMatchObject({ side: 'source', code: 'NetworkUnavailable', attempt: 1 });
    expect(week.silent.healthErrors.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['ReplicationRetrying', 'RpoExceeded', 'ReplicationStalled']),
    );
    expect(week.recovered.retry).toBeNull();
    // A quarter of the last twelve hours is gone; that stays true for a while.
    expect(week.recovered.healthErrors.map(({ code }) => code)).toEqual(['CyclesMissed']);
  });

  it('keeps every point of a day, one an hour of three days, one a day of the week, and no other snapshot', async () => {
    const { lifecycle } = week;
    const now = lifecycle.clock.now().getTime();
    const points = await lifecycle.points();
    const ages = points.map(({ takenAt }) => now - Date.parse(takenAt));
    const between = (from: number, to: number) => ages.filter((age) => age >= from && age < to).length;
    expect(between(0, dayMs)).toBeGreaterThan(280);
    // One an hour, less the hours of the outages and of the night's resynchronization.
    expect(between(26 * hourMs, 72 * hourMs)).toBeGreaterThan(30);
    expect(between(26 * hourMs, 72 * hourMs)).toBeLessThanOrEqual(47);
    expect(between(74 * hourMs, 7 * dayMs)).toBeGreaterThanOrEqual(3);
    expect(between(74 * hourMs, 7 * dayMs)).toBeLessThanOrEqual(5);
    const named = new Set(points.flatMap(({ disks }) => disks.map(({ snapshotId }) => snapshotId)));
    const snapshots = await lifecycle.storage.replicas.listSnapshots(replicaName(item, 'os'));
    expect(snapshots.filter(({ id }) => !named.has(id))).toEqual([]);
  });

  it('has statistics for every hour, jobs for every resynchronization, and events that tell the story', async () => {
    const { lifecycle } = week;
    const hours = [];
    for await (const hour of listHours(lifecycle.storage.items, item, new Date('2026-03-25T00:00:00.000Z')))
      hours.push(hour);
    expect(hours.length).toBe(8 * 24);
    expect(hours.reduce((sum, { cycles }) => sum + cycles, 0)).toBeGreaterThan(1950);
    const jobs = (await lifecycle.jobs()).map(({ kind, state }) => `${kind} ${state}`);
    expect(jobs).toEqual([
      'resynchronize Succeeded',
      'resynchronize Succeeded',
      'enableProtection Succeeded',
    ]);
    const told = new Set<string>();
    for await (const { eventCode } of listEvents(lifecycle.storage.jobs)) told.add(eventCode);
    for (const code of [
      'RpoExceeded',
      'ReplicationStalled',
      'ResyncRequired',
      'ReplicationRetrying',
      'RepairReplication',
      'EnableDr',
    ])
      expect(told).toContain(code);
  });
});
