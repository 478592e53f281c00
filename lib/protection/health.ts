// Health that follows from the item's rows and the clock: worked out anew at each look, so that nothing has to be cleared
// by whoever mends the cause. Errors about one event (a refused log) are kept in the row until a cycle clears them.
import type { ErrorCode } from '../errors.ts';
import { errorCatalogue } from '../errors.ts';
import type { PolicyRecord } from '../vault/policies.ts';
import { rpoThresholdSecondsOf } from '../vault/policies.ts';
import type { ReplicationContext } from '../replication/context.ts';
import type { HealthError, ItemRecord } from './item.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** Site Recovery's and Hyper-V's: nothing recorded for so long. */
const stalledMs = hourMs;
const dayMs = 24 * hourMs;
/** So long after protection began, or after the last good test failover, the next one is due. */
export const defaultTestDueDays = 180;
/** Issues that a health error names; the readiness itself has all. */
const namedIssues = 3;
/** Share of missed cycles in the monitoring interval above which health warns (Hyper-V: 20 %). */
const missedShareLimit = 0.2;
/** An RPO of so many thresholds is critical. */
const criticalThresholds = 4;
/** How often an item is looked at while its disks are copied, for progress. */
const copyLookMs = minuteMs;
const longestLookMs = hourMs;

interface Finding {
  code: ErrorCode;
  level: HealthError['level'];
  message: string;
  subject?: string;
}

const age = (at: string, now: Date): number => now.getTime() - Date.parse(at);

const minutes = (ms: number): string => `${Math.floor(ms / minuteMs)} minutes`;

/** Since when nothing was recorded: the last cycle, or the end of initial replication. */
function quietSince(record: ItemRecord): string | undefined {
  const arrivals = record.disks.flatMap(({ arrivedAt }) => (arrivedAt === null ? [] : [arrivedAt]));
  return record.lastCycleAt ?? arrivals.sort().at(-1);
}

function rpoFindings(record: ItemRecord, policy: PolicyRecord, now: Date): Finding[] {
  const findings: Finding[] = [];
  const taken = record.latestPoint?.takenAt;
  const thresholdMs = rpoThresholdSecondsOf(policy) * 1000;
  if (taken !== undefined && age(taken, now) > thresholdMs) {
    const isCritical = age(taken, now) > criticalThresholds * thresholdMs;
    const message = `The newest recovery point is ${minutes(age(taken, now))} old; the policy's threshold is ${minutes(thresholdMs)}.`;
    findings.push({ code: 'RpoExceeded', level: isCritical ? 'Critical' : 'Warning', message });
  }
  const quiet = quietSince(record);
  if (quiet !== undefined && age(quiet, now) > stalledMs) {
    const message = `No replication cycle was completed for ${minutes(age(quiet, now))}.`;
    findings.push({ code: 'ReplicationStalled', level: 'Warning', message });
  }
  const { missedCycles } = record;
  if (missedCycles && missedCycles.missed > missedShareLimit * missedCycles.expected) {
    const hours = policy.monitoringSeconds / 3600;
    const message = `${missedCycles.missed} of ${missedCycles.expected} cycles were missed in the last ${hours} hours.`;
    findings.push({ code: 'CyclesMissed', level: 'Warning', message });
  }
  return findings;
}

function retryFindings({ retry }: ItemRecord): Finding[] {
  if (!retry) return [];
  const where = retry.side === 'source' ? 'The source host reported' : 'Merging failed with';
  const about = `${where} ${retry.code}: ${retry.message}`;
  if (retry.nextAttemptAt === null) {
    const action = errorCatalogue[retry.code].recommendedAction;
    return [{ code: 'ReplicationSuspended', level: 'Critical', message: `${about} ${action}` }];
  }
  const message = `${about} Attempt ${retry.attempt + 1} is at ${retry.nextAttemptAt}.`;
  return [{ code: 'ReplicationRetrying', level: 'Warning', message }];
}

function diskFindings({ disks, state }: ItemRecord, now: Date): Finding[] {
  const findings: Finding[] = [];
  for (const { disk, resync, copied, arrivedAt } of disks) {
    if (resync) {
      const message = `Disk ${disk} must be resynchronized (${resync.reason}): ${resync.message}`;
      findings.push({ code: 'ResyncRequired', level: 'Critical', message, subject: disk });
    }
    const isStalled = copied && arrivedAt === null && age(copied.at, now) > stalledMs;
    if (isStalled && state === 'InitialReplicationInProgress') {
      const message = `Nothing of disk ${disk} has arrived for ${minutes(age(copied.at, now))}.`;
      findings.push({ code: 'InitialReplicationStalled', level: 'Warning', message, subject: disk });
    }
  }
  return findings;
}

const failedStates: ReadonlySet<string> = new Set([
  'EnablingFailed',
  'InitialReplicationFailed',
  'DisablingFailed',
]);

function readinessFindings({ readiness }: ItemRecord): Finding[] {
  const errors = readiness?.issues.filter(({ severity }) => severity === 'Error') ?? [];
  if (errors.length === 0) return [];
  const named = errors.slice(0, namedIssues).map(({ message }) => message);
  const more = errors.length > named.length ? ` And ${errors.length - named.length} more.` : '';
  const message = `A failover would fail: ${named.join(' ')}${more}`;
  return [{ code: 'FailoverNotReady', level: 'Warning', message }];
}

/** What health follows from besides the item's row. */
export interface HealthSettings {
  testDueDays?: number | undefined;
}

function testFindings(record: ItemRecord, now: Date, { testDueDays }: HealthSettings): Finding[] {
  const testedAt = record.lastGoodTestFailoverAt ?? record.createdAt;
  if (age(testedAt, now) <= (testDueDays ?? defaultTestDueDays) * dayMs) return [];
  const message = `No test failover has succeeded for ${Math.floor(age(testedAt, now) / dayMs)} days.`;
  return [{ code: 'TestFailoverDue', level: 'Warning', message }];
}

function findingsOf(
  record: ItemRecord,
  policy: PolicyRecord | undefined,
  now: Date,
  settings: HealthSettings,
): Finding[] {
  const findings: Finding[] = [...diskFindings(record, now), ...retryFindings(record)];
  if (failedStates.has(record.state)) {
    const message = `The last job failed (${record.state}); its errors say why. Mend the cause and restart the job.`;
    findings.push({ code: 'ProtectionFailed', level: 'Critical', message });
  }
  if (record.pausedAt !== null) {
    const message = `Replication was paused at ${record.pausedAt}. Resume it when the reason is gone.`;
    findings.push({ code: 'ReplicationPaused', level: 'Warning', message });
  }
  if (record.state === 'Protected')
    findings.push(...testFindings(record, now, settings), ...readinessFindings(record));
  if (policy && record.state === 'Protected' && record.pausedAt === null)
    findings.push(...rpoFindings(record, policy, now));
  return findings;
}

/** What only the policy can tell; whoever does not know it leaves these as they are. */
const policyFindings: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'RpoExceeded',
  'ReplicationStalled',
  'CyclesMissed',
]);

/** The item's health errors as they are at `now`. An error that was there before keeps its `raisedAt`. Pure. */
export function healthErrorsAt(
  record: ItemRecord,
  policy: PolicyRecord | undefined,
  now: Date,
  settings: HealthSettings = {},
): HealthError[] {
  const kept = record.healthErrors.filter(
    ({ code, isDerived }) => !isDerived || (policy === undefined && policyFindings.has(code)),
  );
  const derived = findingsOf(record, policy, now, settings).map(
    ({ code, level, message, subject }): HealthError => {
      const about = subject ?? record.item;
      const before = record.healthErrors.find((each) => each.code === code && each.subject === about);
      return {
        ...{ code, level, message, subject: about },
        raisedAt: before?.raisedAt ?? now.toISOString(),
        clearedByCycle: Number.MAX_SAFE_INTEGER,
        isDerived: true,
      };
    },
  );
  return [...kept, ...derived];
}

/** The record with its health errors as they are now, as far as the policy is known: for whoever changes what they follow from. */
export function withHealth(
  { clock, policy, testDueDays }: Pick<ReplicationContext, 'clock' | 'policy' | 'testDueDays'>,
  record: ItemRecord,
): ItemRecord {
  return { ...record, healthErrors: healthErrorsAt(record, policy, clock.now(), { testDueDays }) };
}

/** When what `healthErrorsAt` says can change by the passing of time alone; an hour from now at the latest. */
export function nextHealthLook(record: ItemRecord, policy: PolicyRecord | undefined, now: Date): string {
  const times: number[] = [now.getTime() + longestLookMs];
  const add = (from: string | null | undefined, afterMs: number) => {
    if (from) times.push(Date.parse(from) + afterMs + 1000);
  };
  if (policy && record.state === 'Protected') {
    const thresholdMs = rpoThresholdSecondsOf(policy) * 1000;
    add(record.latestPoint?.takenAt, thresholdMs);
    add(record.latestPoint?.takenAt, criticalThresholds * thresholdMs);
    add(quietSince(record), stalledMs);
  }
  if (record.startAt !== null && record.state === 'EnablingProtection') add(record.startAt, 0);
  if (record.disks.some(({ arrivedAt }) => arrivedAt === null)) times.push(now.getTime() + copyLookMs);
  const future = times.filter((time) => time > now.getTime());
  return new Date(Math.min(...future)).toISOString();
}

/** The first look at an item, when its disks begin to arrive. */
export const firstHealthLook = (now: Date): string => new Date(now.getTime() + copyLookMs).toISOString();
