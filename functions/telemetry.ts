// The telemetry of this process. Metrics are always counted, for /metrics; traces and the export to Azure Monitor begin when
// its library is loaded, after the start and only where it is configured, so that a cold start does not wait for it.
import { app } from '@azure/functions';
import type { InvocationContext } from '@azure/functions';
import { AsyncLocalStorage } from 'node:async_hooks';
import { ROOT_CONTEXT, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api';
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

function remote(traceparent: string | undefined): SpanContext | undefined {
  const parsed = parseTraceparent(traceparent);
  if (!parsed) return undefined;
  const { traceId, spanId, isSampled } = parsed;
  return { traceId, spanId, traceFlags: isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE, isRemote: true };
}

const idAttributes = (ids: TelemetryIds = {}): Record<string, string | number> =>
  Object.fromEntries(
    Object.entries(ids).map(([name, value]) => [`lifeboat.${name}`, value as string | number]),
  );

function openSpan(
  name: SpanName,
  { ids, attributes, causes = [] }: SpanOptions,
): [Span, Context] | undefined {
  if (!ready) return undefined;
  const [cause, ...others] = causes.map(remote).filter((context) => context !== undefined);
  const current = running.getStore() ?? ROOT_CONTEXT;
  const around = trace.getSpanContext(current);
  // The trace goes on where the cause began it; what runs around it is linked, so that neither is lost.
  const linked = cause && around ? [...others, around] : others;
  const links = linked.map((context): Link => ({ context }));
  const parent = cause ? trace.setSpanContext(ROOT_CONTEXT, cause) : current;
  const span = ready.tracer.startSpan(
    name,
    { attributes: { ...idAttributes(ids), ...attributes }, links },
    parent,
  );
  return [span, trace.setSpan(parent, span)];
}

function logLine(name: string, message: string, fields: object): string {
  return `${name}: ${message} ${JSON.stringify(fields)}`;
}

/** Telemetry whose log lines belong to this invocation, and whose first span belongs to the host's trace of it. */
export function telemetryFor(invocation: InvocationContext): Telemetry {
  const hostTrace = invocation.traceContext?.traceParent ?? undefined;
  return {
    record(metric, value, attributes) {
      metricTable.record(metric, value, attributes);
      ready?.record(metric, value, attributes);
    },
    async span(name, options, work) {
      const causes = running.getStore() ? options.causes : [...(options.causes ?? []), hostTrace];
      const opened = openSpan(name, { ...options, ...(causes ? { causes } : {}) });
      if (!opened) return work({ set: () => undefined });
      const [span, context] = opened;
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
      const context = trace.getSpanContext(running.getStore() ?? ROOT_CONTEXT);
      if (!context) return undefined;
      const { traceId, spanId, traceFlags } = context;
      return formatTraceparent({ traceId, spanId, isSampled: (traceFlags & TraceFlags.SAMPLED) !== 0 });
    },
    event(name, message, ids) {
      const line = logLine(name, message, ids);
      const level = eventLevels[name];
      if (level === 'error') invocation.error(line);
      else if (level === 'warning') invocation.warn(line);
      else invocation.info(line);
    },
  };
}
