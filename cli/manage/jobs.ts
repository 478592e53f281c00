// `lifeboat job …`.
import * as z from 'zod';
import { print, type Io } from '../io.ts';
import { NegativeResult } from '../failure.ts';
import { startJobProgress } from './jobProgress.ts';
import { Management, firstErrorOf, isEnded, type ArmResource } from './management.ts';
import {
  cell,
  paragraph,
  facts,
  finishJob,
  moment,
  show,
  tableOr,
  type JobOptions,
  type ShowOptions,
} from './show.ts';

const tasks = z
  .array(
    z.looseObject({
      friendlyName: z.string(),
      state: z.string(),
      startTime: z.string().nullish(),
      endTime: z.string().nullish(),
    }),
  )
  .catch([]);

export async function listJobs(
  io: Io,
  options: ShowOptions & { limit?: string; state?: string },
): Promise<void> {
  const management = await Management.connect(io, options);
  const limit = Math.max(1, Number(options.limit ?? '20') || 20);
  const filter =
    options.state === undefined
      ? ''
      : `?$filter=${encodeURIComponent(`JobStatus eq '${options.state.replaceAll("'", "''")}'`)}`;
  await show(io, options, {
    load: () => management.listResources(management.path('replicationJobs') + filter, limit),
    text: (jobs) =>
      tableOr(
        'There are no jobs.',
        ['JOB', 'STATE', 'BEGAN', 'WHAT'],
        jobs.map(({ name, properties }) => [
          name,
          cell(properties['state']),
          moment(properties['startTime']).slice(5, 16),
          `${cell(properties['friendlyName'])}: ${cell(properties['targetObjectName'])}`,
        ]),
      ),
  });
}

function jobText(job: ArmResource): string {
  const { properties } = job;
  const head = facts([
    ['job', job.name],
    ['what', properties['friendlyName']],
    ['of', properties['targetObjectName']],
    ['state', properties['stateDescription'] ?? properties['state']],
    ['began', moment(properties['startTime'])],
    ['ended', moment(properties['endTime'])],
    ['allowed', (properties['allowedActions'] as string[] | undefined)?.join(', ')],
  ]);
  const steps = tableOr(
    'It has no steps yet.',
    ['STEP', 'STATE', 'BEGAN', 'ENDED'],
    tasks
      .parse(properties['tasks'])
      .map((task) => [
        task.friendlyName,
        task.state,
        moment(task.startTime).slice(11),
        moment(task.endTime).slice(11),
      ]),
  );
  const failed = ['Failed', 'CompletedWithErrors'].includes(String(properties['state']));
  return `${head}\n${steps}${failed ? `\n${paragraph(firstErrorOf(job))}` : ''}`;
}

export async function showJob(io: Io, jobId: string, options: ShowOptions): Promise<void> {
  const management = await Management.connect(io, options);
  await show(io, options, {
    load: () => management.getResource(management.path('replicationJobs', jobId)),
    text: jobText,
    isOver: isEnded,
  });
}

/** One document every two seconds. */
async function printJobs(io: Io, management: Management, jobId: string): Promise<ArmResource> {
  return show(
    io,
    { json: true, watch: true },
    {
      load: () => management.getResource(management.path('replicationJobs', jobId)),
      text: jobText,
      isOver: isEnded,
    },
  );
}

/** A live picture, and at the end the whole job. */
async function follow(io: Io, management: Management, jobId: string): Promise<ArmResource> {
  const progress = startJobProgress(io, management, false);
  const job = await management.followJob(jobId, progress.see).finally(progress.end);
  await print(io, jobText(job));
  return job;
}

/** Shows the job until it ends; exit code 1 unless it succeeded. */
export async function watchJob(io: Io, jobId: string, options: ShowOptions): Promise<void> {
  const management = await Management.connect(io, options);
  const job =
    options.json === true ? await printJobs(io, management, jobId) : await follow(io, management, jobId);
  if (!['Succeeded', 'CompletedWithInformation'].includes(String(job.properties['state'])))
    throw new NegativeResult();
}

export async function doJobVerb(
  io: Io,
  verb: 'cancel' | 'restart' | 'resume',
  jobId: string,
  options: JobOptions,
): Promise<void> {
  const management = await Management.connect(io, options);
  const path = `${management.path('replicationJobs', jobId)}/${verb}`;
  const body = verb === 'resume' ? { properties: {} } : undefined;
  await finishJob(io, options, management, await management.send('POST', path, body));
}
