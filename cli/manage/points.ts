// `lifeboat recovery-point …`: lists, comparisons with the source, and downloads.
import * as z from 'zod';
import { NegativeResult, UsageError } from '../failure.ts';
import { formatBytes, formatFacts } from '../humanText.ts';
import { pathOf, print, type Io } from '../io.ts';
import { startProgress } from '../progress.ts';
import { downloadSnapshot, type ImageKind } from './downloadSnapshot.ts';
import { startJobProgress } from './jobProgress.ts';
import { requireStorage } from './login.ts';
import { Management, type ArmResource } from './management.ts';
import { cell, finishJob, moment, show, tableOr, type JobOptions, type ShowOptions } from './show.ts';

const pointDetails = z.looseObject({
  cycle: z.number(),
  disks: z.array(z.looseObject({ diskId: z.string(), blobName: z.string(), snapshotId: z.string() })),
  scrub: z.record(z.string(), z.looseObject({ verdict: z.string() })).nullish(),
});
const detailsOf = ({ properties }: ArmResource) => pointDetails.parse(properties['providerSpecificDetails']);

const verdictOf = (point: ArmResource): string => {
  const verdicts = Object.values(detailsOf(point).scrub ?? {}).map(({ verdict }) => verdict);
  if (verdicts.length === 0) return '-';
  return verdicts.find((verdict) => verdict !== 'equal') ?? 'equal';
};

export async function listPoints(
  io: Io,
  name: string,
  options: ShowOptions & { limit?: string },
): Promise<void> {
  const management = await Management.connect(io, options);
  const item = await management.getItem(name);
  const limit = Math.max(1, Number(options.limit ?? '30') || 30);
  await show(io, options, {
    load: () => management.listResources(`${item.id}/recoveryPoints`, limit),
    text: (points) =>
      tableOr(
        'There is no recovery point yet.',
        ['CYCLE', 'TIME', 'TYPE', 'CHECKED', 'POINT'],
        points.map((point) => [
          String(detailsOf(point).cycle),
          moment(point.properties['recoveryPointTime']),
          cell(point.properties['recoveryPointType']),
          verdictOf(point),
          point.name,
        ]),
      ),
  });
}

/** Compares the next recovery point with the source; exit code 1 when they differ. */
export async function verifyPoint(io: Io, name: string, options: JobOptions): Promise<void> {
  const management = await Management.connect(io, options);
  const item = await management.getItem(name);
  const path = `/lifeboat/v1/items/${encodeURIComponent(item.name.toLowerCase())}/scrubs`;
  const begun = await management.send('POST', path);
  if (options.wait === false || begun.jobId === undefined) return finishJob(io, options, management, begun);
  if (options.json !== true)
    io.stderr.write('The source digests its next cycle; this may take as long as reading the disks.\n');
  const progress = startJobProgress(io, management, options.json === true);
  const job = await management.waitForJob(begun.jobId, progress.see).finally(progress.end);
  const points = await management.listResources(`${item.id}/recoveryPoints`);
  const checked = points.find((point) => verdictOf(point) !== '-');
  const verdict = checked ? verdictOf(checked) : 'unknown';
  const document = { job: job.name, recoveryPoint: checked?.name ?? null, verdict };
  await print(
    io,
    options.json === true
      ? `${JSON.stringify(document)}\n`
      : formatFacts([
          ['recovery point', checked?.name ?? '-'],
          ['time', moment(checked?.properties['recoveryPointTime'])],
          ['verdict', verdict],
        ]),
  );
  if (verdict !== 'equal') throw new NegativeResult();
}

export interface DownloadOptions extends ShowOptions {
  disk?: string;
  point?: string;
  format: ImageKind;
}

/** A disk of a recovery point as a file. May be interrupted and repeated: what is there and good is not fetched again. */
export async function downloadPoint(
  io: Io,
  name: string,
  file: string,
  options: DownloadOptions,
): Promise<void> {
  const management = await Management.connect(io, options);
  const item = await management.getItem(name);
  const points = await management.listResources(`${item.id}/recoveryPoints`);
  const { point: wanted } = options;
  const point =
    wanted === undefined
      ? points[0]
      : points.find((each) => each.name === wanted || String(detailsOf(each).cycle) === wanted);
  if (!point)
    throw new UsageError(
      `Item ${item.name} has no recovery point ${wanted ?? ''}; see lifeboat recovery-point list.`,
    );
  const { disks, cycle } = detailsOf(point);
  const disk =
    options.disk === undefined && disks.length === 1
      ? disks[0]
      : disks.find(({ diskId }) => diskId === options.disk);
  if (!disk)
    throw new UsageError(
      `Name one of the disks with --disk: ${disks.map(({ diskId }) => diskId).join(', ')}.`,
    );
  const path = pathOf(io, file);
  let progress = startProgress(io, 'downloading', 0, true);
  const done = await downloadSnapshot({
    connectionString: requireStorage(management.address, io),
    ...{
      blobName: disk.blobName,
      snapshotId: disk.snapshotId,
      path,
      kind: options.format,
      signal: io.signal,
    },
    onStart: (totalBytes) =>
      void (progress = startProgress(io, 'downloading', totalBytes, options.json === true)),
    onProgress: (bytes) => progress.report(bytes),
  }).finally(() => progress.end());
  const document = { item: item.name, disk: disk.diskId, point: point.name, cycle, path, ...done };
  await print(
    io,
    options.json === true
      ? `${JSON.stringify(document)}\n`
      : formatFacts([
          ['written', path],
          ['disk', `${item.name}/${disk.diskId}, cycle ${cycle}`],
          ['size', formatBytes(done.sizeBytes)],
          ['fetched', `${formatBytes(done.fetchedBytes)}, ${formatBytes(done.resumedBytes)} were there`],
          ['sha256', done.sha256],
        ]),
  );
}
