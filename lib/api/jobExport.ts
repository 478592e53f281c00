// The export of jobs: a job whose details carry a URL and the token that opens it, for an hour. The file is made when it is
// fetched, from the jobs as they are then.
import * as z from 'zod';
import { digestOf, isSecret, newSecret } from '../auth/secrets.ts';
import { LifeboatError } from '../errors.ts';
import { completedJob, newJob } from '../jobs/job.ts';
import type { JobRecord } from '../jobs/job.ts';
import { insertJob, listJobs } from '../jobs/jobStore.ts';
import { newJobId } from '../protection/itemJobs.ts';
import { accepted, resourceId } from './arm.ts';
import type { ApiContext } from './http.ts';
import { jobBody, jobFields, jobModel } from './jobs.ts';
import { operation } from './operation.ts';
import { findQuery } from './query.ts';

const partition = 'jobExports';
const validMs = 3600 * 1000;
/** A file of more is of no use to the programs that open it. */
const jobLimit = 10_000;

const time = z.iso.datetime({ offset: true });
const words = z.string().max(1000).nullish();

const exportInput = z
  .object({
    startTime: time.nullish(),
    endTime: time.nullish(),
    fabricId: words,
    affectedObjectTypes: words.describe('Separated by commas.'),
    jobStatus: words.describe('Separated by commas.'),
    jobName: words,
    jobOutputType: z.enum(['Json', 'Xml', 'Excel']).nullish().describe('Excel is CSV. Default Json.'),
    timezoneOffset: z.number().min(-1440).max(1440).nullish(),
  })
  .meta({ id: 'JobQueryParameter' });
type ExportInput = z.infer<typeof exportInput>;

const exportRow = z.object({ digest: z.string(), expiresAt: z.iso.datetime(), query: exportInput });

const listed = (text: string | null | undefined): string[] =>
  (text ?? '')
    .split(',')
    .map((word) => word.trim().toLowerCase())
    .filter((word) => word !== '');

/** One test a field of the query; a field that is not given lets every job through. */
function isAsked(job: JobRecord, query: ExportInput): boolean {
  const begun = Date.parse(job.startTime ?? job.createdAt);
  const fabric = jobFields['FabricId']?.of(job);
  const isIn = (words: readonly string[], ...values: unknown[]) =>
    words.length === 0 || values.some((value) => words.includes(String(value).toLowerCase()));
  return (
    begun >= (query.startTime ? Date.parse(query.startTime) : -Infinity) &&
    begun <= (query.endTime ? Date.parse(query.endTime) : Infinity) &&
    isIn(listed(query.affectedObjectTypes), job.targetType) &&
    isIn(listed(query.jobStatus), job.state) &&
    isIn(listed(query.fabricId), fabric) &&
    isIn(listed(query.jobName), job.scenario, job.friendlyName, job.id)
  );
}

/** A cell that programs cannot take for a formula. */
function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}

const xmlText = (text: string): string =>
  text
    // eslint-disable-next-line no-control-regex -- characters that XML cannot carry
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');

const columns: Readonly<Record<string, (job: JobRecord) => string>> = {
  Name: ({ id }) => id,
  Scenario: ({ friendlyName }) => friendlyName,
  State: ({ state }) => state,
  TargetType: ({ targetType }) => targetType,
  Target: ({ targetName }) => targetName,
  StartTime: ({ startTime, createdAt }) => startTime ?? createdAt,
  EndTime: ({ endTime }) => endTime ?? '',
  Errors: ({ errors }) => errors.map(({ code, message }) => `${code}: ${message}`).join(' '),
};

function csv(jobs: readonly JobRecord[]): string {
  const lines = jobs.map((job) => Object.values(columns).map((of) => cell(of(job))));
  return [Object.keys(columns), ...lines].map((line) => line.join(',')).join('\r\n');
}

function xml(jobs: readonly JobRecord[]): string {
  const rows = jobs.map((job) => {
    const fields = Object.entries(columns).map(([name, of]) => `<${name}>${xmlText(of(job))}</${name}>`);
    return `  <Job>${fields.join('')}</Job>`;
  });
  return ['<?xml version="1.0" encoding="utf-8"?>', '<Jobs>', ...rows, '</Jobs>', ''].join('\n');
}

async function render(context: ApiContext, query: ExportInput): Promise<{ type: string; text: string }> {
  const jobs: JobRecord[] = [];
  for await (const job of listJobs(context.replication.storage.jobs)) {
    if (isAsked(job, query)) jobs.push(job);
    if (jobs.length === jobLimit) break;
  }
  if (query.jobOutputType === 'Excel') return { type: 'text/csv; charset=utf-8', text: csv(jobs) };
  if (query.jobOutputType === 'Xml') return { type: 'application/xml; charset=utf-8', text: xml(jobs) };
  const bodies = jobs.map((job) => jobBody(context, job));
  return { type: 'application/json; charset=utf-8', text: JSON.stringify(bodies) };
}

export const jobExportOperations = [
  operation({
    ...{ id: 'ReplicationJobs_Export', verb: 'POST', path: '/replicationJobs/export', access: 'Operator' },
    ...{ body: exportInput, answers: 'job', answer: jobModel, isSecret: true },
    summary: `Makes a file of at most ${jobLimit} jobs; the job's details say where it is, for an hour.`,
    handler: async (context, request) => {
      const { clock } = context.replication;
      const sasToken = newSecret();
      const id = newJobId(context.replication);
      const now = clock.now();
      const expiresAt = new Date(now.getTime() + validMs).toISOString();
      const value = { digest: digestOf(sasToken), expiresAt, query: request.body };
      await context.access.transact(partition, [{ kind: 'insert', key: id, value }]);
      const targetId = resourceId(context.settings.vault, 'replicationJobs', id);
      const about = { id, kind: 'exportJobs', targetId, targetName: 'jobs' } as const;
      const at = now.toISOString();
      const job: JobRecord = {
        ...completedJob(newJob({ ...about, createdAt: at }), at),
        result: {
          blobUri: `${context.settings.publicUrl}/lifeboat/v1/exports/${id}`,
          sasToken: `?token=${sasToken}`,
        },
      };
      await insertJob(context.replication.storage.jobs, job);
      return accepted(context, { job, resource: targetId, apiVersion: request.apiVersion });
    },
  }),
  operation({
    ...{ id: 'Exports_Get', verb: 'GET', path: '/lifeboat/v1/exports/{export}', scope: 'service' },
    ...{ access: 'Anyone', answers: 'nothing', query: { token: 'sasToken of the job that made the export' } },
    summary: 'Fetches an export of jobs with its token.',
    handler: async (context, { params, query }) => {
      const id = (params['export'] ?? '').toLowerCase();
      const row = /^[0-9a-f-]{36}$/.test(id) ? await context.access.find(partition, id) : undefined;
      const found = row && exportRow.parse(row.value);
      const isOpen = found && context.replication.clock.now().toISOString() < found.expiresAt;
      if (!isOpen || !isSecret(findQuery(query, 'token') ?? '', found.digest))
        throw new LifeboatError('Unauthorized', 'The token of the export is wrong, or its hour is over.');
      const { type, text } = await render(context, found.query);
      return { status: 200, headers: { 'content-type': type }, body: text };
    },
  }),
];
