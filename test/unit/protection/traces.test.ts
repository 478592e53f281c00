// The steps of a job go on in the trace of the request that began it, although they run in other processes.
import { expect, it } from 'vitest';
import { repairReplication } from '../../../lib/protection/resyncRequest.ts';
import { noTelemetry } from '../../../lib/telemetry/telemetry.ts';
import type { SpanOptions } from '../../../lib/telemetry/telemetry.ts';
import { item, Lifecycle } from '../../support/lifecycle.ts';

it('every activity of a job names the request as its cause', async () => {
  const lifecycle = await (await Lifecycle.create()).protect();
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const spans: SpanOptions[] = [];
  const telemetry = {
    ...noTelemetry,
    traceparent: () => traceparent,
    span: <T>(name: string, options: SpanOptions, work: Parameters<typeof noTelemetry.span<T>>[2]) => {
      if (name === 'lifeboat.activity') spans.push(options);
      return noTelemetry.span<T>('lifeboat.activity', options, work);
    },
  };
  const context = { ...lifecycle.context, telemetry };
  lifecycle.api.runner.context = context;
  const job = await repairReplication(context, lifecycle.api.context.orchestrations, item);
  expect(job.traceparent).toBe(traceparent);
  expect(spans.length).toBeGreaterThan(1);
  for (const { ids, causes } of spans) {
    expect(ids).toEqual({ item, job: job.id });
    expect(causes).toEqual([traceparent]);
  }
});
