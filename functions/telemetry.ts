// The telemetry of this process. Metrics are always counted, for /metrics; traces and the export to Azure Monitor begin when
// its library is loaded, after the start and only where it is configured, so that a cold start does not wait for it.
import { app } from '@azure/functions';
import type { InvocationContext } from '@azure/functions';
import { AsyncLocalStorage } from 'node:async_hooks';
import { ROOT_CONTEXT, SpanStatusCode, TraceFlags, isSpanContextValid, trace } from '@opentelemetry/api';
import type { Context, Link, Span, SpanContext } from '@opentelemetry/api';
import { toErrorRecord } from '../lib/errors.ts';
import { MetricTable } from '../lib/telemetry/metricTable.ts';
import { eventLevels } from '../lib/telemetry/names.ts';
import type { SpanName, TelemetryIds } from '../lib/telemetry/names.ts';
import type { SpanOptions, Telemetry } from '../lib/telemetry/telemetry.ts';
import { formatTraceparent, parseTraceparent } from '../lib/telemetry/traceparent.ts';
import type { ExportHttpClient, TelemetryExport } from './azureMonitor.ts';

/** What a scrape of this process reads. */
export const metricTable = new MetricTable();

const running = new AsyncLocalStorage<Context>();
let exporting: Promise<TelemetryExport | undefined> | undefined;
let ready: TelemetryExport | undefined;

/** Begins to load the export if it is configured. A failure is logged and leaves the app without it. */
export function startExport(
  environment = process.env,
  httpClient?: ExportHttpClient,
): Promise<TelemetryExport | undefined> {
  const connectionString = environment['APPLICATIONINSIGHTS_CONNECTION_STRING'];
  if (!connectionString) return Promise.resolve(undefined);
  exporting ??= import('./azureMonitor.ts')
    .then(({ startAzureMonitor }) => (ready = startAzureMonitor(connectionString, environment, httpClient)))
    .catch((error: unknown) => {
      console.error(`Telemetry is not exported: ${toErrorRecord(error).message}`);
      return undefined;
    });
  return exporting;
}

/** Sends what is left and ends the export. */
export async function stopExport(): Promise<void> {
  const started = await exporting;
  [exporting, ready] = [undefined, undefined];
  await started?.stop();
}

app.hook.appStart(() => {
  void startExport();
});
app.hook.appTerminate(stopExport);

/** Without the export: its spans are of nobody and only carry the trace on, into rows and log lines. */
const untraced = trace.getTracer('lifeboat');

function remote(traceparent: string | undefined): SpanContext | undefined {
  const parsed = parseTraceparent(traceparent);
  if (!parsed) return undefined;
  const { traceId, spanId, isSampled } = parsed;
  return { traceId, spanId, traceFlags: isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE, isRemote: true };
}

/** The host's trace of the invocation. Whether its own spans are kept says nothing about ours. */
function aroundInvocation(traceparent: string | undefined): Context {
  const found = remote(traceparent);
  if (!found) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, { ...found, traceFlags: TraceFlags.SAMPLED });
}

const idAttributes = (ids: TelemetryIds = {}): Record<string, string | number> =>
  Object.fromEntries(
    Object.entries(ids).map(([name, value]) => [`lifeboat.${name}`, value as string | number]),
  );

const isSame = (one: SpanContext, other: SpanContext): boolean =>
  one.traceId === other.traceId && one.spanId === other.spanId;

/** Where a span belongs: the trace goes on where the first cause began it; all else that led to it is linked. */
function placeOf(
  causes: readonly (string | undefined)[],
  around: Context,
): { parent: Context; links: Link[] } {
  const [cause, ...others] = causes.map(remote).filter((context) => context !== undefined);
  if (!cause) return { parent: around, links: [] };
  const running = trace.getSpanContext(around);
  const goesOn = running?.traceId === cause.traceId;
  const linked = [
    ...others.filter((other) => !isSame(other, cause)),
    ...(running && !goesOn ? [running] : []),
  ];
  return {
    parent: goesOn ? around : trace.setSpanContext(ROOT_CONTEXT, cause),
    links: linked.map((context): Link => ({ context })),
  };
}

function openSpan(
  name: SpanName,
  { ids, attributes, causes = [] }: SpanOptions,
  around: Context,
): [Span, Context] {
  const { parent, links } = placeOf(causes, around);
  const tracer = ready?.tracer ?? untraced;
  const span = tracer.startSpan(name, { attributes: { ...idAttributes(ids), ...attributes }, links }, parent);
  return [span, trace.setSpan(parent, span)];
}

function logLine(name: string, message: string, fields: object): string {
  return `${name}: ${message} ${JSON.stringify(fields)}`;
}

/** Telemetry whose log lines belong to this invocation, and whose first span belongs to the host's trace of it. */
export function telemetryFor(invocation: InvocationContext): Telemetry {
  const outermost = aroundInvocation(invocation.traceContext?.traceParent ?? undefined);
  const now = (): Context => running.getStore() ?? outermost;
  const spanNow = (): SpanContext | undefined => {
    const context = trace.getSpanContext(now());
    return context && isSpanContextValid(context) ? context : undefined;
  };
  return {
    record(metric, value, attributes) {
      metricTable.record(metric, value, attributes);
      ready?.record(metric, value, attributes);
    },
    async span(name, options, work) {
      const [span, context] = openSpan(name, options, now());
      try {
        return await running.run(context, () =>
          work({ set: (attributes) => span.setAttributes(attributes) }),
        );
      } catch (error) {
        const { code, message } = toErrorRecord(error);
        span.setStatus({ code: SpanStatusCode.ERROR, message: `${code}: ${message}` });
        throw error;
      } finally {
        span.end();
      }
    },
    traceparent() {
      const context = spanNow();
      if (!context) return undefined;
      const { traceId, spanId, traceFlags } = context;
      return formatTraceparent({ traceId, spanId, isSampled: (traceFlags & TraceFlags.SAMPLED) !== 0 });
    },
    event(name, message, ids) {
      const trace = spanNow()?.traceId;
      const line = logLine(name, message, trace === undefined ? ids : { trace, ...ids });
      const level = eventLevels[name];
      if (level === 'error') invocation.error(line);
      else if (level === 'warning') invocation.warn(line);
      else invocation.info(line);
    },
  };
}
