// What a failover or drill leaves behind for people: its report, the console, a picture. In the container `evidence`, which
// no clean-up touches.
import type { RecoveryPointRecord } from '../protection/item.ts';
import { getItem } from '../protection/itemStore.ts';
import type { ItemJob } from '../protection/orchestrations.ts';
import { findJob } from '../jobs/jobStore.ts';
import type { JobRecord } from '../jobs/job.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { recoveredFolder } from './names.ts';
import { listRecoveryDisks } from './recoveryDiskRecord.ts';
import { updateRun } from './recoveryRun.ts';
import { recoveryReport, type RecoveryReport, type ReportDisk, type ReportFacts } from './report.ts';
import { reportHtml } from './reportHtml.ts';

/** Blob names in `evidence`. */
export const evidenceNames = (item: string, jobId: string) => {
  const folder = recoveredFolder(item, jobId);
  return {
    json: `${folder}report.json`,
    html: `${folder}report.html`,
    console: `${folder}console.txt`,
    screenshot: `${folder}screen`,
  };
};

/** Stores one piece; again: replaces it. */
export async function keepEvidence(
  { storage }: ReplicationContext,
  name: string,
  content: string | Uint8Array,
  mediaType: string,
): Promise<void> {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  await storage.evidence.put(name, bytes, { mediatype: mediaType });
}

async function readConsole({ storage }: ReplicationContext, name: string): Promise<string> {
  const found = await storage.evidence.find(name);
  if (!found) return '';
  const bytes = await storage.evidence.read(
    name,
    { offsetBytes: 0, lengthBytes: found.sizeBytes },
    found.etag,
  );
  return new TextDecoder().decode(bytes);
}

const stepsOf = (job: JobRecord | undefined, endedAt: string): ReportFacts['steps'] =>
  (job?.steps ?? [])
    .filter(({ startTime }) => startTime !== null)
    .map(({ friendlyName, startTime, endTime }) => ({
      name: friendlyName,
      startedAt: startTime ?? endedAt,
      endedAt: endTime ?? endedAt,
    }));

/** Makes the report of the job from its rows, stores it as JSON and as a page, and returns it. */
export async function writeReport(
  context: ReplicationContext,
  { item, jobId }: ItemJob,
  about: Pick<ReportFacts, 'kind' | 'errors'>,
): Promise<RecoveryReport> {
  const { storage, clock } = context;
  const [record, job, run] = await Promise.all([
    getItem(storage.items, item),
    findJob(storage.jobs, jobId),
    updateRun(storage.items, item, jobId),
  ]);
  const names = evidenceNames(item, jobId);
  const disks: ReportDisk[] = [];
  for await (const { disk, blobSizeBytes, allocatedBytes, digest } of listRecoveryDisks(
    storage.items,
    item,
    jobId,
  ))
    disks.push({ disk, sizeBytes: blobSizeBytes - 512, allocatedBytes, digest: digest ?? '' });
  const endedAt = clock.now().toISOString();
  const consoleText = await readConsole(context, names.console);
  const report = recoveryReport({
    ...{ item, jobId, machineName: record.machineName, ...about, endedAt, disks },
    provider: context.compute?.kind ?? 'vhd',
    requestedAt: job?.createdAt ?? run.requestedAt,
    estimatedRtoSeconds: run.estimatedRtoSeconds,
    recoveryPoint: run.point,
    steps: stepsOf(job, endedAt),
    boot: run.boot && { ...run.boot, consoleText },
    marker: run.marker,
  });
  await keepEvidence(context, names.json, `${JSON.stringify(report, null, 2)}\n`, 'application/json');
  await keepEvidence(context, names.html, reportHtml(report), 'text/html');
  return report;
}

/** The point's row with the outcome of a test in it. */
export function withDrill(point: RecoveryPointRecord, report: RecoveryReport): RecoveryPointRecord {
  const { jobId, endedAt, verdict, rtoSeconds, estimatedRtoSeconds } = report;
  const others = point.drills.filter((each) => each.jobId !== jobId);
  return { ...point, drills: [...others, { jobId, at: endedAt, verdict, rtoSeconds, estimatedRtoSeconds }] };
}
