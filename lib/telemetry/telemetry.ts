// What the product says about its work, as a port: lib measures and traces through it and knows no vendor.
import type { EventName, MetricAttributes, MetricName, SpanName, TelemetryIds } from './names.ts';

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

export interface SpanOptions {
  ids?: TelemetryIds;
  attributes?: SpanAttributes;
  /**
   * W3C `traceparent` values of what caused the work, for instance of uploaded blobs. The trace of the first goes on: it becomes the
   * parent, unless the span that runs now is of its trace already; the others are linked, and so is the running span of another
   * trace. Values that are none are ignored. Default: the span that runs now.
   */
  causes?: readonly (string | undefined)[];
}

/** The span that is open while `work` runs. */
export interface OpenSpan {
  set(attributes: SpanAttributes): void;
}

/** Nothing here throws or waits: telemetry never changes what the work does. */
export interface Telemetry {
  /** Adds to a counter, sets a gauge, or records into a histogram. */
  record<M extends MetricName>(metric: M, value: number, attributes: MetricAttributes<M>): void;
  /** Runs `work` in a span, whose parts may open spans of their own. Returns and throws what `work` does. */
  span<T>(name: SpanName, options: SpanOptions, work: (span: OpenSpan) => Promise<T>): Promise<T>;
  /** `traceparent` of the span that runs now, else of what called this process, to be stored where the work goes on. */
  traceparent(): string | undefined;
  /** One line of the log: what happened, for people, with ids for machines, `trace` among them (default: of the running span). No secrets. */
  event(name: EventName, message: string, ids: TelemetryIds & SpanAttributes): void;
}

const closedSpan: OpenSpan = { set: () => undefined };

/** Says nothing. */
export const noTelemetry: Telemetry = {
  record: () => undefined,
  span: (_name, _options, work) => work(closedSpan),
  traceparent: () => undefined,
  event: () => undefined,
};

/** Seconds since `start`, both of `performance.now()`. */
export const secondsSince = (startMs: number): number => (performance.now() - startMs) / 1000;
