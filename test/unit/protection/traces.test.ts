// The steps of a job go on in the trace of what began it, although they run in other processes.
import { expect, it } from 'vitest';
import { runActivity } from '../../../functions/activities/run.ts';
import { findJob } from '../../../lib/jobs/jobStore.ts';
import { repairReplication } from '../../../lib/protection/resyncRequest.ts';
import { LifeboatError } from '../../../lib/errors.ts';
import { item, Lifecycle } from '../../support/lifecycle.ts';
import { recordedTelemetry } from '../../support/recordedTelemetry.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;

it('every activity of a job, and its end, is of the trace of the request', async () => {
  const lifecycle = await (await Lifecycle.create()).protect();
  const telemetry = recordedTelemetry();
  const context = { ...lifecycle.context, telemetry };
  lifecycle.api.runner.context = context;
  const request = { ...context, telemetry: { ...telemetry, traceparent: () => traceparent } };
  const job = await repairReplication(request, lifecycle.api.context.orchestrations, item);
  expect((await findJob(lifecycle.storage.jobs, job.id))?.traceparent).toBe(traceparent);
  const activities = telemetry.spans.filter(({ name }) => name === 'lifeboat.activity');
  expect(activities.length).toBeGreaterThan(1);
  for (const { ids, causes } of activities) {
    expect(ids).toEqual({ item, job: job.id });
    expect(causes).toEqual([traceparent]);
  }
});

it('an activity that will be tried again is counted and told, in the trace of its job', async () => {
  const lifecycle = await (await Lifecycle.create()).protect();
  const telemetry = recordedTelemetry();
  const fault = (point: string): void => {
    if (point === 'resync.afterBegin') throw new LifeboatError('StorageUnavailable', 'gone');
  };
  const request = { ...lifecycle.context, telemetry: { ...telemetry, traceparent: () => traceparent } };
  const idle = { start: async () => undefined, raiseEvent: async () => undefined };
  const { id: jobId } = await repairReplication(request, idle, item);
  const limits = { stopAt: new Date(8.64e15), orchestrations: idle };
  const context = { ...lifecycle.context, telemetry, fault };
  await expect(runActivity(context, 'beginResync', { item, jobId }, limits)).rejects.toThrow('gone');
  const attributes = { code: 'StorageUnavailable' };
  expect(telemetry.values).toContainEqual({ metric: 'lifeboat.retry', value: 1, attributes });
  expect(telemetry.events).toMatchObject([{ name: 'work.retried', trace: traceId }]);
  expect(telemetry.spans).toMatchObject([{ name: 'lifeboat.activity', failed: true }]);
});
