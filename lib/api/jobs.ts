// Jobs, and the status and result of the operations that they are.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { allowedActions, describeJobState } from '../jobs/job.ts';
import type { JobRecord } from '../jobs/job.ts';
import { findJob, listJobs } from '../jobs/jobStore.ts';
import { cancelJob, restartJob, resumeJob } from '../protection/jobControl.ts';
import { accepted, operationStatus, pollSeconds, resource, resourceId } from './arm.ts';
import { compileFilter } from './filter/filter.ts';
import type { Fields } from './filter/filter.ts';
import type { ApiContext, ApiResponse, RoutedRequest } from './http.ts';
import { jobError, noTime } from './jobErrors.ts';
import {
  asrJobDetails,
  exportJobDetails,
  failoverJobDetails,
  jobProperties,
  testFailoverJobDetails,
} from './models/jobs.ts';
import { resourceOf } from './models/wire.ts';
import { newestFirst } from './newestFirst.ts';
import { operation } from './operation.ts';
import { page } from './paging.ts';
import { groupDetailsOf, planJobDetails } from './planJobBody.ts';
import { findQuery } from './query.ts';

const path = '/replicationJobs/{job}';

export const jobModel = resourceOf(
  'Job',
  jobProperties.extend({
    customDetails: z.discriminatedUnion('instanceType', [
      asrJobDetails,
      exportJobDetails,
      testFailoverJobDetails,
      failoverJobDetails,
    ]),
  }),
);

/** A job with the fields of an operation status at top level, which older clients poll. */
const jobStatusModel = jobModel
  .extend({
    status: z.string(),
    startTime: z.string().nullable(),
    endTime: z.string().nullable(),
    error: z.object({ code: z.string(), message: z.string(), details: z.null() }).nullable(),
  })
  .meta({ id: 'JobWithStatus' });

const operationStatusModel = z
  .strictObject({
    id: z.null(),
    name: z.string(),
    status: z.enum(['InProgress', 'Succeeded', 'Failed', 'Canceled']),
    startTime: z.string().nullable(),
    endTime: z.string().nullable(),
    percentComplete: z.number().nullable(),
    properties: z.null(),
    error: z.object({ code: z.string(), message: z.string(), details: z.null() }).nullable(),
  })
  .meta({ id: 'OperationStatus' });

function customDetails(job: JobRecord) {
  const { kind, result, targetName, run, parentId } = job;
  if (run) return planJobDetails({ ...job, run });
  if (kind !== 'exportJobs') {
    const parent = parentId === null ? {} : { parentJobId: parentId };
    return { instanceType: 'AsrJobDetails', affectedObjectDetails: { targetName, ...parent } };
  }
  const { blobUri, sasToken } = result as { blobUri?: string; sasToken?: string };
  return { instanceType: 'ExportJobDetails', affectedObjectDetails: {}, blobUri, sasToken };
}

function taskDetails({ run }: JobRecord, taskId: string) {
  const group = run === null ? undefined : groupDetailsOf(run, taskId);
  return {
    taskType: group?.instanceType ?? 'TaskDetails',
    customDetails: { instanceType: 'TaskDetails' },
    groupTaskCustomDetails: group ?? null,
  };
}

export function jobBody({ settings }: ApiContext, job: JobRecord) {
  const failedTask = job.steps.find(({ state }) => state === 'Failed')?.taskId ?? '';
  return resource(settings.vault, ['replicationJobs', job.id], {
    activityId: job.id,
    scenarioName: job.scenario,
    friendlyName: job.friendlyName,
    state: job.state,
    stateDescription: describeJobState(job.state),
    tasks: job.steps.map((step) => ({
      taskId: step.taskId,
      name: step.name,
      friendlyName: step.friendlyName,
      state: step.state,
      stateDescription: describeJobState(step.state),
      startTime: step.startTime ?? noTime,
      endTime: step.endTime ?? noTime,
      allowedActions: [],
      ...taskDetails(job, step.taskId),
      errors: step.errors.map((error) => jobError(error, step.endTime ?? noTime, step.taskId)),
    })),
    errors: job.errors.map((error) => jobError(error, job.endTime ?? noTime, failedTask)),
    startTime: job.startTime ?? job.createdAt,
    endTime: job.endTime,
    allowedActions: allowedActions(job),
    targetObjectId: job.targetId,
    targetObjectName: job.targetName,
    targetInstanceType: job.targetType,
    customDetails: customDetails(job),
  });
}

/** The fabric that an ARM id names, if it names one. */
const fabricIn = (id: string): string | undefined => /\/replicationFabrics\/([^/]+)/i.exec(id)?.[1];

/** The fields that Site Recovery filters jobs by, and the names that our answers show the same values under. */
export const jobFields: Fields<JobRecord> = {
  StartTime: { kind: 'time', bound: 'from', of: (job) => job.startTime ?? job.createdAt },
  EndTime: { kind: 'time', bound: 'until', of: (job) => job.endTime ?? job.startTime ?? job.createdAt },
  JobStatus: { kind: 'text', of: ({ state }) => state },
  JobName: { kind: 'text', of: ({ scenario, friendlyName, id }) => [scenario, friendlyName, id] },
  AffectedObjectType: { kind: 'text', of: ({ targetType }) => targetType },
  AffectedObjectTypes: { kind: 'text', of: ({ targetType }) => targetType },
  FabricId: { kind: 'text', of: ({ targetId }) => fabricIn(targetId) },
  TargetObjectName: { kind: 'text', of: ({ targetName }) => targetName },
};

async function getJobRecord(context: ApiContext, id: string): Promise<JobRecord> {
  const job = await findJob(context.replication.storage.jobs, id.toLowerCase());
  if (!job)
    throw new LifeboatError('ResourceNotFound', `Job "${id.slice(0, 100)}" does not exist.`, {
      target: id.slice(0, 100),
    });
  return job;
}

const isKey = (id: string): boolean => /^[0-9a-z-]{1,100}$/i.test(id);

/** Throws `ResourceNotFound`, also for a name that no job can have. */
async function getJob(context: ApiContext, id: string): Promise<JobRecord> {
  if (isKey(id)) return getJobRecord(context, id);
  throw new LifeboatError('ResourceNotFound', `Job "${id.slice(0, 100)}" does not exist.`, {
    target: id.slice(0, 100),
  });
}

/** For the result of an operation: undefined when it succeeded and the resource itself is the answer. */
export async function unfinishedResult(context: ApiContext, jobId: string): Promise<ApiResponse | undefined> {
  const job = await getJob(context, jobId);
  if (job.operation === 'InProgress') {
    const seconds = pollSeconds(job, context.replication.clock.now());
    return { status: 202, headers: { 'retry-after': String(seconds) } };
  }
  if (job.operation === 'Succeeded') return undefined;
  const { code, message } = job.errors[0] ?? {
    code: 'OperationNotSupportedInState' as const,
    message: 'The job was cancelled.',
  };
  throw new LifeboatError(code, `${message} (job ${job.id})`, { target: job.targetId });
}

const resumeInput = z
  .object({ properties: z.object({ comments: z.string().max(1024).nullish() }).nullish() })
  .meta({ id: 'ResumeJobParams' });

type Control = (...of: [...Parameters<typeof cancelJob>, comments?: string]) => Promise<JobRecord>;

/** The operation is the job's own: its result is the job. */
const control = (verb: Control) => async (context: ApiContext, request: RoutedRequest) => {
  const { id } = await getJob(context, request.params['job'] ?? '');
  const body = request.body as z.infer<typeof resumeInput> | undefined;
  const comments = body?.properties?.comments ?? '';
  const job = await verb(context.replication, context.orchestrations, id, comments);
  const controlled = resourceId(context.settings.vault, 'replicationJobs', id);
  return accepted(context, { job, resource: controlled, apiVersion: request.apiVersion });
};

export const jobOperations = [
  operation({
    ...{ id: 'ReplicationJobs_List', verb: 'GET', path: '/replicationJobs', access: 'Reader' },
    ...{ answers: 'page', answer: jobModel, query: { $filter: Object.keys(jobFields).join(', ') } },
    summary: 'Lists the jobs, newest first.',
    handler: async (context, request) => {
      const filter = compileFilter(findQuery(request.query, '$filter'), jobFields);
      const { jobs } = context.replication.storage;
      return page(context, request, {
        rows: newestFirst((from) => listJobs(jobs, from), filter),
        ...(filter ? { matches: filter.matches } : {}),
        body: (job) => jobBody(context, job),
      });
    },
  }),
  operation({
    ...{ id: 'ReplicationJobs_Get', verb: 'GET', path, access: 'Reader' },
    ...{ summary: 'Shows a job with its tasks.', answers: 'resource', answer: jobStatusModel },
    handler: async (context, { params }) => {
      const job = await getJob(context, params['job'] ?? '');
      const shown = operationStatus(job, context.replication.clock.now()).body as Record<string, unknown>;
      const { status, startTime, endTime, error } = shown;
      return { status: 200, body: { ...jobBody(context, job), status, startTime, endTime, error } };
    },
  }),
  operation({
    ...{ id: 'ReplicationJobs_Cancel', verb: 'POST', path: `${path}/cancel`, access: 'Operator' },
    ...{ summary: 'Asks a job to stop at its next safe point.', answers: 'job', answer: jobModel },
    handler: control(cancelJob),
  }),
  operation({
    ...{ id: 'ReplicationJobs_Restart', verb: 'POST', path: `${path}/restart`, access: 'Operator' },
    ...{ answers: 'job', answer: jobModel },
    summary: 'Starts again, as a new job, what a failed or cancelled job did.',
    handler: control(restartJob),
  }),
  operation({
    ...{ id: 'ReplicationJobs_Resume', verb: 'POST', path: `${path}/resume`, access: 'Operator' },
    ...{ summary: 'Goes on with a suspended job.', body: resumeInput, answers: 'job', answer: jobModel },
    handler: control(resumeJob),
  }),
  operation({
    ...{
      id: 'OperationStatus_Get',
      verb: 'GET',
      path: '/replicationOperationStatus/{job}',
      access: 'Reader',
    },
    ...{ answers: 'resource', answer: operationStatusModel },
    summary: 'Shows the state of a long-running operation, with the seconds after which to ask again.',
    handler: async (context, { params }) =>
      operationStatus(await getJob(context, params['job'] ?? ''), context.replication.clock.now()),
  }),
];
