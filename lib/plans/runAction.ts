// One look at an action of a plan: begun, waited for, called again, or over. What came of it is stored in the job's row; after a
// death the same look is made again, so a receiver may be called twice with the same delivery id.
import { isOver } from '../jobs/job.ts';
import type { JobRecord } from '../jobs/job.ts';
import { updateJob } from '../jobs/jobStore.ts';
import type { ActionStep } from '../jobs/planRun.ts';
import { isoNow } from '../protection/itemJobs.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { workOf } from './actions.ts';
import type { ActionWork } from './actions.ts';
import type { OutboundAnswer, OutboundPort } from './outbound.ts';
import { stepAt, suspendPlanStep, withStep } from './runState.ts';
import { webhookKey, webhookRequest } from './webhook.ts';

/** Where the action is. `waitSeconds` null = until a person answers. */
export type ActionProgress =
  | { state: 'done'; observation: string | null }
  | { state: 'waiting'; waitSeconds: number | null }
  | { state: 'failed'; message: string };

const longestCallSeconds = 30;
const firstPauseSeconds = 2;
const longestPauseSeconds = 60;
const observationChars = 1024;

/** Seconds until the next try of something that has failed so often. Pure. */
export const pauseAfter = (attempts: number): number =>
  Math.min(longestPauseSeconds, firstPauseSeconds * 2 ** Math.max(0, attempts - 1));

/** Whether an HTTP answer is good, final, or worth another try. Pure. */
function judgeWebhook(answer: OutboundAnswer): 'good' | 'final' | 'again' {
  if (answer.kind === 'refused') return 'final';
  if (answer.kind !== 'answered') return 'again';
  if (answer.status >= 200 && answer.status < 300) return 'good';
  return [408, 425, 429].includes(answer.status) || answer.status >= 500 ? 'again' : 'final';
}

/** Whether a probe has seen what it waits for. Pure. */
function judgeProbe(answer: OutboundAnswer, expectedStatus: number | null): 'good' | 'final' | 'again' {
  if (answer.kind === 'refused') return 'final';
  if (answer.kind === 'connected') return 'good';
  if (answer.kind !== 'answered') return 'again';
  const { status } = answer;
  const isGood = expectedStatus === null ? status >= 200 && status < 400 : status === expectedStatus;
  return isGood ? 'good' : 'again';
}

const describe = (answer: OutboundAnswer): string => {
  if (answer.kind === 'answered') return `HTTP ${answer.status} ${answer.text}`.trim();
  return answer.kind === 'connected' ? 'connected' : answer.reason;
};

interface Call {
  outbound: OutboundPort;
  job: JobRecord;
  index: number;
  step: ActionStep;
}

type Calling = Extract<ActionWork, { kind: 'webhook' | 'probe' }>;

async function callOnce(context: ReplicationContext, call: Call, work: Calling): Promise<OutboundAnswer> {
  const { job, index, step, outbound } = call;
  const timeoutSeconds = Math.min(longestCallSeconds, work.deadlineSeconds);
  if (work.kind === 'probe')
    return outbound.call({ url: work.url, method: 'GET', headers: {}, timeoutSeconds });
  const now = context.clock.now();
  const { key } = await webhookKey(context.storage.access, now);
  if (!job.run) throw new Error(`Invariant broken: job ${job.id} is of a plan`);
  const about = { jobId: job.id, run: job.run, stepIndex: index, group: step.group };
  const request = webhookRequest({ ...about, actionName: step.action.actionName }, key, now);
  return outbound.call({ url: work.url, method: 'POST', ...request, timeoutSeconds });
}

async function advanceCall(context: ReplicationContext, call: Call, work: Calling): Promise<ActionProgress> {
  const { job, index, step } = call;
  const answer = await callOnce(context, call, work);
  context.fault('plan.afterCall');
  const verdict = work.kind === 'webhook' ? judgeWebhook(answer) : judgeProbe(answer, work.expectedStatus);
  const observation = describe(answer).slice(0, observationChars);
  if (verdict === 'good') return { state: 'done', observation };
  const { actionName } = step.action;
  if (verdict === 'final') return { state: 'failed', message: `Action "${actionName}": ${observation}` };
  const attempts = step.attempts + 1;
  const waitSeconds = work.kind === 'webhook' ? pauseAfter(attempts) : work.intervalSeconds;
  const began = Date.parse(step.startTime ?? isoNow(context));
  const nextMs = context.clock.now().getTime() + waitSeconds * 1000;
  if (nextMs > began + work.deadlineSeconds * 1000) {
    const tries = `${attempts} ${attempts === 1 ? 'try' : 'tries'} in ${work.deadlineSeconds} s`;
    return { state: 'failed', message: `Action "${actionName}": ${tries}, the last: ${observation}` };
  }
  await updateJob(context.storage.jobs, job.id, (current) =>
    current.run && !isOver(current)
      ? {
          ...current,
          run: withStep(current.run, index, (each) =>
            each.kind === 'action' ? { ...each, attempts, observation } : each,
          ),
        }
      : current,
  );
  return { state: 'waiting', waitSeconds };
}

async function progressOf(
  context: ReplicationContext,
  job: JobRecord,
  index: number,
): Promise<ActionProgress> {
  const step = stepAt(job, index);
  if (step.kind !== 'action') throw new Error(`Invariant broken: step ${index} of ${job.id} is an action`);
  const work = workOf(step.action);
  switch (work.kind) {
    case 'manual': {
      if (step.resumedAt !== null) return { state: 'done', observation: step.observation };
      await updateJob(context.storage.jobs, job.id, (current) => suspendPlanStep(current, index));
      return { state: 'waiting', waitSeconds: null };
    }
    case 'delay': {
      const endMs = Date.parse(step.startTime ?? isoNow(context)) + work.seconds * 1000;
      const waitMs = endMs - context.clock.now().getTime();
      if (waitMs <= 0) return { state: 'done', observation: null };
      return { state: 'waiting', waitSeconds: Math.ceil(waitMs / 1000) };
    }
    case 'impossible':
      return { state: 'failed', message: `Action "${step.action.actionName}": ${work.reason}` };
    case 'webhook':
    case 'probe': {
      const { outbound } = context;
      if (!outbound) return { state: 'failed', message: 'This service is not set up to call addresses.' };
      return advanceCall(context, { outbound, job, index, step }, work);
    }
  }
}

/** One look at the action of step `index`, which runs. Its end is stored with what was observed. */
export async function advanceAction(
  context: ReplicationContext,
  job: JobRecord,
  index: number,
): Promise<{ job: JobRecord; waitSeconds: number | null }> {
  const progress = await progressOf(context, job, index);
  if (progress.state === 'waiting') return { job, waitSeconds: progress.waitSeconds };
  const at = isoNow(context);
  const ended = await updateJob(context.storage.jobs, job.id, (current) =>
    current.run
      ? {
          ...current,
          run: withStep(current.run, index, (step) => {
            if (step.kind !== 'action' || step.state === 'Succeeded') return step;
            if (progress.state === 'done')
              return { ...step, state: 'Succeeded', endTime: at, observation: progress.observation };
            const errors = [{ code: 'PlanActionFailed' as const, message: progress.message }];
            return { ...step, state: 'Failed', endTime: at, errors };
          }),
        }
      : current,
  );
  context.fault('plan.afterAction');
  return { job: ended, waitSeconds: 0 };
}
