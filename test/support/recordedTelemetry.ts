// Telemetry that keeps what it is told, for tests.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { MetricName } from '../../lib/telemetry/names.ts';
import type { SpanOptions, Telemetry } from '../../lib/telemetry/telemetry.ts';
import { parseTraceparent } from '../../lib/telemetry/traceparent.ts';

export interface RecordedSpan {
  name: string;
  parent: string | undefined;
  /** `traceparent` of the trace that it is in, as far as causes say. */
  traceparent: string | undefined;
  ids: SpanOptions['ids'];
  causes: (string | undefined)[];
  attributes: Record<string, string | number | boolean>;
  failed: boolean;
}

export interface RecordedTelemetry extends Telemetry {
  spans: RecordedSpan[];
  values: { metric: MetricName; value: number; attributes: Readonly<Record<string, string>> }[];
  events: { name: string; message: string; trace: string | undefined }[];
}

export function recordedTelemetry(): RecordedTelemetry {
  const running = new AsyncLocalStorage<RecordedSpan>();
  const recorded: Pick<RecordedTelemetry, 'spans' | 'values' | 'events'> = {
    spans: [],
    values: [],
    events: [],
  };
  return {
    ...recorded,
    record: (metric, value, attributes) => void recorded.values.push({ metric, value, attributes }),
    async span(name, { ids, attributes = {}, causes = [] }, work) {
      const outer = running.getStore();
      const [cause] = causes.filter((each) => parseTraceparent(each) !== undefined);
      const span: RecordedSpan = {
        name,
        parent: outer?.name,
        traceparent: cause ?? outer?.traceparent,
        ids,
        causes: [...causes],
        attributes: { ...attributes },
        failed: false,
      };
      recorded.spans.push(span);
      try {
        return await running.run(span, () =>
          work({ set: (more) => void Object.assign(span.attributes, more) }),
        );
      } catch (error) {
        span.failed = true;
        throw error;
      }
    },
    traceparent: () => running.getStore()?.traceparent,
    event: (name, message) => {
      const trace = parseTraceparent(running.getStore()?.traceparent)?.traceId;
      recorded.events.push({ name, message, trace });
    },
  };
}
