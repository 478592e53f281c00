// How a job moves: pure changes of its record. Each may be applied again after a crash without moving it backwards.
import type { ErrorRecord } from '../errors.ts';
import type { JobRecord, JobStep } from './job.ts';

const isOver = (job: JobRecord): boolean => job.state === 'Succeeded' || job.state === 'Failed';

function changeStep(job: JobRecord, taskId: string, change: (step: JobStep) => JobStep): JobRecord {
  return { ...job, steps: job.steps.map((step) => (step.taskId === taskId ? change(step) : step)) };
}

/** The step runs (and so the job does). A step that ended stays as it is. */
export function startStep(job: JobRecord, taskId: string, at: string): JobRecord {
  if (isOver(job)) return job;
  const running = changeStep(job, taskId, (step) =>
    step.state === 'NotStarted' ? { ...step, state: 'InProgress', startTime: at } : step,
  );
  return { ...running, state: 'InProgress', startTime: job.startTime ?? at };
}

export function succeedStep(job: JobRecord, taskId: string, at: string): JobRecord {
  if (isOver(job)) return job;
  return changeStep(job, taskId, (step) =>
    step.state === 'Succeeded'
      ? step
      : { ...step, state: 'Succeeded', startTime: step.startTime ?? at, endTime: at },
  );
}

/** The ARM operation is fulfilled though the job goes on. */
export function fulfilOperation(job: JobRecord): JobRecord {
  return job.operation === 'InProgress' ? { ...job, operation: 'Succeeded' } : job;
}

export function succeedJob(job: JobRecord, at: string): JobRecord {
  return isOver(job) ? job : fulfilOperation({ ...job, state: 'Succeeded', endTime: at });
}

/** The job failed in its running step with these errors. */
export function failJob(job: JobRecord, errors: readonly ErrorRecord[], at: string): JobRecord {
  if (isOver(job)) return job;
  const steps = job.steps.map((step) =>
    step.state === 'InProgress'
      ? { ...step, state: 'Failed' as const, endTime: at, errors: [...errors] }
      : step,
  );
  const operation = job.operation === 'InProgress' ? 'Failed' : job.operation;
  return {
    ...job,
    state: 'Failed',
    endTime: at,
    startTime: job.startTime ?? at,
    steps,
    errors: [...errors],
    operation,
  };
}
