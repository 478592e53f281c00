// The export to Application Insights: a chunk of its own that is loaded only where it is configured. Telemetry goes to the
// workspace of the connection string and to nobody else.
import type { Meter, Tracer } from '@opentelemetry/api';
import { AzureMonitorMetricExporter, AzureMonitorTraceExporter } from '@azure/monitor-opentelemetry-exporter';
import type { AzureMonitorExporterOptions } from '@azure/monitor-opentelemetry-exporter';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { AggregationType, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import { managedIdentity } from '../lib/storage/azure/identity.ts';
import { metricCatalogue, metricDefinition } from '../lib/telemetry/names.ts';
import type { MetricName } from '../lib/telemetry/names.ts';
import type { Telemetry } from '../lib/telemetry/telemetry.ts';

/** What carries the requests; tests give their own. */
export type ExportHttpClient = NonNullable<AzureMonitorExporterOptions['httpClient']>;

export interface TelemetryExport {
  tracer: Tracer;
  record: Telemetry['record'];
  /** Sends what is left, within some seconds, and ends. */
  stop(): Promise<void>;
}

const exportIntervalMs = 60_000;
const stopTimeoutMs = 5000;

/** The identity of `ClientId=…;Authorization=AAD`, as the Functions host reads the same setting; none without it. */
function credentialOf(environment: NodeJS.ProcessEnv) {
  const text = environment['APPLICATIONINSIGHTS_AUTHENTICATION_STRING'] ?? '';
  if (!/(^|;)\s*Authorization\s*=\s*AAD\s*(;|$)/i.test(text)) return {};
  const [, , clientId] = /(^|;)\s*ClientId\s*=\s*([^;\s]+)/i.exec(text) ?? [];
  return { credential: managedIdentity(clientId === undefined ? {} : { clientId }) };
}

/** The part of the traces that is kept: whole ones, by their id, so that all instances agree. All without the setting. */
function samplerOf({ OTEL_TRACES_SAMPLER: kind, OTEL_TRACES_SAMPLER_ARG: argument }: NodeJS.ProcessEnv) {
  const ratio = Number(argument ?? '1');
  if (kind !== 'traceidratio' || !(ratio >= 0 && ratio <= 1)) return {};
  return { sampler: new TraceIdRatioBasedSampler(ratio) };
}

type Instrument = (value: number, attributes: Record<string, string>) => void;

function instrumentOf(meter: Meter, name: MetricName): Instrument {
  const { kind, unit, description } = metricDefinition(name);
  const options = { unit, description };
  if (kind === 'counter') {
    const counter = meter.createCounter(name, options);
    return (value, attributes) => counter.add(value, attributes);
  }
  const instrument =
    kind === 'gauge' ? meter.createGauge(name, options) : meter.createHistogram(name, options);
  return (value, attributes) => instrument.record(value, attributes);
}

/** Starts the export. Throws when the connection string is none. `httpClient` carries the requests; default: the SDK's. */
export function startAzureMonitor(
  connectionString: string,
  environment: NodeJS.ProcessEnv,
  httpClient?: ExportHttpClient,
): TelemetryExport {
  // The exporter would report on itself to its vendor.
  process.env['APPLICATION_INSIGHTS_NO_STATSBEAT'] = 'true';
  process.env['APPLICATIONINSIGHTS_STATSBEAT_DISABLED'] = 'true';
  process.env['APPLICATIONINSIGHTS_SDKSTATS_DISABLED'] = 'true';
  const options = {
    connectionString,
    disableOfflineStorage: true,
    ...(httpClient ? { httpClient } : {}),
    ...credentialOf(environment),
  };
  const resource = resourceFromAttributes({
    'service.name': environment['WEBSITE_SITE_NAME'] ?? 'lifeboat',
    'service.instance.id': environment['WEBSITE_INSTANCE_ID'] ?? String(process.pid),
  });
  const tracing = new BasicTracerProvider({
    resource,
    ...samplerOf(environment),
    spanProcessors: [new BatchSpanProcessor(new AzureMonitorTraceExporter(options))],
  });
  const metering = new MeterProvider({
    resource,
    readers: [
      new PeriodicExportingMetricReader({
        exporter: new AzureMonitorMetricExporter(options),
        exportIntervalMillis: exportIntervalMs,
      }),
    ],
    views: (Object.keys(metricCatalogue) as MetricName[]).flatMap((instrumentName) => {
      const { buckets } = metricDefinition(instrumentName);
      if (buckets === undefined) return [];
      const boundaries = { boundaries: [...buckets], recordMinMax: true };
      return [
        {
          instrumentName,
          aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: boundaries },
        },
      ];
    }),
  });
  const meter = metering.getMeter('lifeboat');
  const instruments = new Map<MetricName, Instrument>();
  return {
    tracer: tracing.getTracer('lifeboat'),
    record(metric, value, attributes) {
      const instrument = instruments.get(metric) ?? instrumentOf(meter, metric);
      instruments.set(metric, instrument);
      instrument(value, attributes);
    },
    async stop() {
      const ended = Promise.allSettled([tracing.shutdown(), metering.shutdown()]);
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, stopTimeoutMs).unref())]);
    },
  };
}
