// The report of a failover or drill: what was done, how long each step took, what RTO and RPO came out, and what the
// machine showed. Data and judgement only; reportHtml.ts makes a page of it.
import type { BootObservation } from '../compute/port.ts';

export interface ReportStep {
  name: string;
  startedAt: string;
  endedAt: string;
}

export interface ReportDisk {
  disk: string;
  sizeBytes: number;
  /** Bytes that the recovery point has allocated. */
  allocatedBytes: number;
  /** Equal for the recovery point and the disk that was made of it (diskDigest.ts). */
  digest: string;
}

export interface ReportFacts {
  item: string;
  machineName: string;
  jobId: string;
  kind: 'testFailover' | 'drill' | 'plannedFailover' | 'unplannedFailover';
  provider: 'vhd' | 'azure' | 'qemu';
  requestedAt: string;
  endedAt: string;
  /** What was expected when it began; null = not known. */
  estimatedRtoSeconds: number | null;
  recoveryPoint: { id: string; cycle: number; takenAt: string; consistency: 'crash' | 'application' };
  steps: readonly ReportStep[];
  disks: readonly ReportDisk[];
  /** Null when the machine was not looked at. */
  boot: Pick<BootObservation, 'verdict' | 'evidenceLine' | 'consoleText'> | null;
  /** What was looked for on the console; null = a login prompt. */
  marker: string | null;
  errors: readonly { code: string; message: string }[];
}

/**
 * `passed`: the machine booted. `failed`: it did not, or a step failed. `prepared`: the disks are proven, but nothing ran
 * here that could have booted.
 */
export type ReportVerdict = 'passed' | 'failed' | 'prepared';

export interface RecoveryReport extends ReportFacts {
  format: 'lifeboat-recovery-report/1';
  verdict: ReportVerdict;
  /** Why, in a sentence. */
  verdictText: string;
  /** From the request to the end of the last step. */
  rtoSeconds: number;
  /** How old the data of the recovery point was at the moment of the request. */
  rpoSeconds: number;
}

const secondsBetween = (from: string, to: string): number =>
  Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000);

/** How long a step took. */
export const stepSeconds = ({ startedAt, endedAt }: ReportStep): number => secondsBetween(startedAt, endedAt);

/** The report of these facts. */
export function recoveryReport(facts: ReportFacts): RecoveryReport {
  return {
    format: 'lifeboat-recovery-report/1',
    ...facts,
    ...judge(facts),
    rtoSeconds: secondsBetween(facts.requestedAt, facts.endedAt),
    rpoSeconds: secondsBetween(facts.recoveryPoint.takenAt, facts.requestedAt),
  };
}

function judge({ boot, marker, errors, disks }: ReportFacts): {
  verdict: ReportVerdict;
  verdictText: string;
} {
  const [first] = errors;
  if (first) return { verdict: 'failed', verdictText: `${first.code}: ${first.message}` };
  if (boot === null || boot.verdict === 'unavailable') {
    const verdictText = `${disks.length} disks equal the recovery point; no machine ran here, so a boot was not tried.`;
    return { verdict: 'prepared', verdictText };
  }
  if (boot.verdict === 'booted') {
    const seen = marker === null ? 'a login prompt' : `the marker "${marker}"`;
    return { verdict: 'passed', verdictText: `The machine booted and showed ${seen}.` };
  }
  const wanted = marker === null ? 'a login prompt' : `the marker "${marker}"`;
  const how = boot.verdict === 'ended' ? 'stopped' : 'was still booting at the time limit';
  return { verdict: 'failed', verdictText: `The machine ${how} without showing ${wanted}.` };
}
