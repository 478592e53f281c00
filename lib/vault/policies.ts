// Replication policies: how often a source sends, what is kept, when resynchronization may run. A policy applies to every
// machine whose item names it.
import * as z from 'zod';
import { defaultResyncWindow, resyncWindow } from '../schedule/resyncWindow.ts';
import { retentionTiers } from '../recoveryPoints/tiers.ts';
import type { RetentionTiers } from '../recoveryPoints/tiers.ts';
import type { TablePort } from '../storage/ports.ts';

export const policyRecord = z.object({
  name: z.string(),
  /** Hours for which every recovery point is kept; 0 = the latest only. */
  recoveryPointHistoryHours: z.number(),
  appConsistentFrequencyHours: z.number(),
  replicationIntervalSeconds: z.number().min(30),
  /** Time of day `HH:mm:ss` in the zone of the resync window; null = at once. */
  onlineReplicationStartTime: z.string().nullable(),
  storageAccountId: z.string().nullable(),
  /** After the hours above: one point an hour for so long, then one a day. */
  hourlyHours: z.number().int().min(0).max(720).default(0),
  dailyDays: z.number().int().min(0).max(30).default(0),
  /** RPO above which health warns; null = three intervals, at least 15 minutes. */
  rpoThresholdSeconds: z.number().int().min(30).nullable().default(null),
  resyncWindow: resyncWindow.default(defaultResyncWindow),
  /** Disks of one machine that are copied at once. */
  parallelDisks: z.number().int().min(1).max(64).default(1),
  /** Whether every cycle is read back before its recovery point is recorded. */
  verify: z.enum(['none', 'readback']).default('none'),
  /** Compare a recovery point with the source every so many days; null = on demand only. */
  scrubEveryDays: z.number().int().min(1).max(365).nullable().default(null),
  /** The machines of a site with this policy cut cycles at common moments (lib/moments). */
  consistencyGroup: z.boolean().default(false),
  /** Interval over which missed cycles are counted. */
  monitoringSeconds: z.number().int().min(3600).max(604_800).default(43_200),
});
export type PolicyRecord = z.infer<typeof policyRecord>;

const partition = 'policies';

/** Without regard to case. */
export async function findPolicy(vault: TablePort, name: string): Promise<PolicyRecord | undefined> {
  const row = await vault.find(partition, name.toLowerCase());
  return row && policyRecord.parse(row.value);
}

export const rpoThresholdSecondsOf = (policy: PolicyRecord): number =>
  policy.rpoThresholdSeconds ?? Math.max(900, 3 * policy.replicationIntervalSeconds);

export const retentionOf = (policy: PolicyRecord): RetentionTiers =>
  retentionTiers.parse({
    allHours: policy.recoveryPointHistoryHours,
    hourlyHours: policy.hourlyHours,
    dailyDays: policy.dailyDays,
  });
