// How a job moves: pure changes of its record. Each may be applied again after a crash without moving it backwards.
import type { ErrorRecord } from '../errors.ts';
import { isOver } from './job.ts';
import type { JobProgress, JobRecord, JobStep } from './job.ts';

function changeStep(job: JobRecord, taskId: string, change: (step: JobStep) => JobStep): JobRecord {
  return { ...job, steps: job.steps.map((step) => (step.taskId === taskId ? change(step) : step)) };
}

/** The step runs (and so the job does). A step that ended stays as it is. */
export function startStep(job: JobRecord, taskId: string, at: string): JobRecord {
  if (isOver(job)) return job;
  const running = changeStep(job, taskId, (step) =>
    step.state === 'NotStarted' || step.state === 'Suspended'
      ? { ...step, state: 'InProgress', startTime: step.startTime ?? at }
      : step,
  );
  return { ...running, state: 'InProgress', startTime: job.startTime ?? at };
}

export function succeedStep(job: JobRecord, taskId: string, at: string): JobRecord {
  if (isOver(job)) return job;
  return changeStep({ ...job, progress: null }, taskId, (step) =>
    step.state === 'Succeeded'
      ? step
      : { ...step, state: 'Succeeded', startTime: step.startTime ?? at, endTime: at },
  );
}

/** The running step waits. `startStep` goes on. */
export function suspendStep(job: JobRecord, taskId: string): JobRecord {
  if (isOver(job) || job.state === 'Suspended') return job;
  const waiting = changeStep(job, taskId, (step) => ({ ...step, state: 'Suspended' }));
  return { ...waiting, state: 'Suspended' };
}

/** How far the running step is. */
export function showProgress(job: JobRecord, progress: JobProgress): JobRecord {
  return isOver(job) ? job : { ...job, progress };
}

/** How the job will end, with what; the first decision stays. `endJob` ends it. */
export function decideEnd(
  job: JobRecord,
  ending: NonNullable<JobRecord['ending']>,
  about: { result?: Record<string, unknown>; errors?: readonly ErrorRecord[] } = {},
): JobRecord {
  if (isOver(job) || job.ending !== null) return job;
  const { result = {}, errors = [] } = about;
  return { ...job, ending, result: { ...job.result, ...result }, errors: [...errors] };
}

/** Ends the job as it was decided; one that was not decided is not ended. */
export function endJob(job: JobRecord, at: string): JobRecord {
  switch (job.ending) {
    case 'Succeeded':
      return succeedJob(job, at);
    case 'Failed':
      return failJob(job, job.errors, at);
    case 'Cancelled':
      return cancelJobRecord(job, at);
    case null:
      return job;
  }
}

/** The ARM operation is fulfilled though the job goes on. */
export function fulfilOperation(job: JobRecord): JobRecord {
  return job.operation === 'InProgress' ? { ...job, operation: 'Succeeded' } : job;
}

function succeedJob(job: JobRecord, at: string): JobRecord {
  if (isOver(job)) return job;
  const ended = { ...job, state: 'Succeeded' as const, endTime: at, startTime: job.startTime ?? at };
  return fulfilOperation({ ...ended, progress: null });
}

const isOpenStep = ({ state }: JobStep): boolean => state === 'InProgress' || state === 'Suspended';

/** The job failed in its running step with these errors. */
export function failJob(job: JobRecord, errors: readonly ErrorRecord[], at: string): JobRecord {
  if (isOver(job)) return job;
  const steps = job.steps.map((step) =>
    isOpenStep(step) ? { ...step, state: 'Failed' as const, endTime: at, errors: [...errors] } : step,
  );
  const operation = job.operation === 'InProgress' ? 'Failed' : job.operation;
  return {
    ...{ ...job, state: 'Failed', endTime: at, startTime: job.startTime ?? at },
    ...{ steps, errors: [...errors], operation, progress: null },
  };
}

/** The job was stopped on request. */
export function cancelJobRecord(job: JobRecord, at: string): JobRecord {
  if (isOver(job)) return job;
  const steps = job.steps.map((step) =>
    isOpenStep(step) ? { ...step, state: 'Cancelled' as const, endTime: at } : step,
  );
  const operation = job.operation === 'InProgress' ? 'Canceled' : job.operation;
  return {
    ...{ ...job, state: 'Cancelled', endTime: at, startTime: job.startTime ?? at },
    ...{ steps, operation, progress: null },
  };
}
