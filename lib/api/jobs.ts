// Jobs, and the status and result of the operations that they are.
import { LifeboatError, errorCatalogue } from '../errors.ts';
import type { ErrorRecord } from '../errors.ts';
import { allowedActions, percentOf } from '../jobs/job.ts';
import type { JobRecord } from '../jobs/job.ts';
import { findJob, listJobs as readJobs } from '../jobs/jobStore.ts';
import { list, operationStatus, resource } from './arm.ts';
import type { ApiContext, Handler } from './http.ts';

/** What clients show for "not yet". */
const noTime = '0001-01-01T00:00:00Z';

const jobError = ({ code, message }: ErrorRecord, at: string, taskId: string) => ({
  serviceErrorDetails: {
    code,
    message,
    possibleCauses: errorCatalogue[code].possibleCauses,
    recommendedAction: errorCatalogue[code].recommendedAction,
  },
  errorLevel: 'Error',
  creationTime: at,
  taskId,
});

function jobResource({ settings }: ApiContext, job: JobRecord) {
  const failedTask = job.steps.find(({ state }) => state === 'Failed')?.taskId ?? '';
  const properties = {
    activityId: job.id,
    scenarioName: job.scenario,
    friendlyName: job.friendlyName,
    state: job.state,
    stateDescription: job.state === 'Succeeded' ? 'Completed' : job.state,
    tasks: job.steps.map((step) => ({
      taskId: step.taskId,
      name: step.name,
      friendlyName: step.friendlyName,
      state: step.state,
      stateDescription: step.state === 'Succeeded' ? 'Completed' : step.state,
      startTime: step.startTime ?? noTime,
      endTime: step.endTime ?? noTime,
      allowedActions: [],
      taskType: 'TaskDetails',
      customDetails: { instanceType: 'TaskDetails' },
      groupTaskCustomDetails: null,
      errors: step.errors.map((error) => jobError(error, step.endTime ?? noTime, step.taskId)),
    })),
    errors: job.errors.map((error) => jobError(error, job.endTime ?? noTime, failedTask)),
    startTime: job.startTime ?? job.createdAt,
    endTime: job.endTime,
    allowedActions: allowedActions(job),
    targetObjectId: job.targetId,
    targetObjectName: job.targetName,
    targetInstanceType: job.targetType,
    customDetails: { instanceType: 'AsrJobDetails', affectedObjectDetails: {} },
    lifeboat: { percentComplete: percentOf(job), progress: job.progress, result: job.result },
  };
  return resource(settings.vault, ['replicationJobs', job.id], properties);
}

async function getJobRecord(context: ApiContext, id: string): Promise<JobRecord> {
  const job = await findJob(context.replication.storage.jobs, id.toLowerCase());
  if (!job) throw new LifeboatError('ResourceNotFound', `Job "${id}" does not exist.`, { target: id });
  return job;
}

/** With the fields of an operation status at top level, which older clients poll. */
export const getJob: Handler = async (context, { params }) => {
  const job = await getJobRecord(context, params['job'] ?? '');
  const { status, startTime, endTime, error } = operationStatus(job).body as Record<string, unknown>;
  return { status: 200, body: { ...jobResource(context, job), status, startTime, endTime, error } };
};

export const listJobs: Handler = async (context) => {
  const all = [];
  for await (const job of readJobs(context.replication.storage.jobs)) all.push(jobResource(context, job));
  return list(all);
};

export const getOperationStatus: Handler = async (context, { params }) =>
  operationStatus(await getJobRecord(context, params['job'] ?? ''));

/** For the result of an operation: undefined when it succeeded and the resource itself is the answer. */
export async function unfinishedResult(context: ApiContext, jobId: string) {
  const job = await getJobRecord(context, jobId);
  if (job.operation === 'InProgress') return { status: 202, headers: { 'retry-after': '2' } };
  if (job.operation === 'Succeeded') return undefined;
  const { code, message } = job.errors[0] ?? { code: 'InternalError' as const, message: 'The job failed.' };
  throw new LifeboatError(code, `${message} (job ${job.id})`, { target: job.targetId });
}
