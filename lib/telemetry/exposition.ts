// Metrics as Prometheus and OpenMetrics scrapers read them: the text format, version 0.0.4.
import type { MetricTable, Series } from './metricTable.ts';
import { metricDefinition } from './names.ts';
import type { MetricName } from './names.ts';

export const expositionContentType = 'text/plain; version=0.0.4; charset=utf-8';

const unitSuffixes: Record<string, string> = { s: '_seconds', By: '_bytes', 'By/s': '_bytes_per_second' };

/** `lifeboat.cycle.latency` in seconds → `lifeboat_cycle_latency_seconds`. */
export function expositionName(metric: MetricName): string {
  const { kind, unit } = metricDefinition(metric);
  const base = metric.replaceAll('.', '_');
  const suffix = unitSuffixes[unit] ?? '';
  const named = suffix !== '' && base.endsWith(suffix) ? base : base + suffix;
  return kind === 'counter' ? `${named}_total` : named;
}

const escapeLabel = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

function labels(attributes: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(attributes).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function histogramLines(name: string, bounds: readonly number[], series: Series): string[] {
  const { attributes, counts, value } = series;
  let total = 0;
  const buckets = counts.map((count, index) => {
    total += count;
    const bound = bounds[index];
    const le = bound === undefined ? '+Inf' : String(bound);
    return `${name}_bucket${labels({ ...attributes, le })} ${total}`;
  });
  return [
    ...buckets,
    `${name}_sum${labels(attributes)} ${value}`,
    `${name}_count${labels(attributes)} ${total}`,
  ];
}

/** The whole text, ending with a line feed. */
export function formatExposition(table: Pick<MetricTable, 'read'>): string {
  const lines: string[] = [];
  for (const [metric, all] of table.read()) {
    const { kind, description, buckets = [] } = metricDefinition(metric);
    const name = expositionName(metric);
    lines.push(`# HELP ${name} ${description}`, `# TYPE ${name} ${kind}`);
    for (const series of all) {
      if (kind === 'histogram') lines.push(...histogramLines(name, buckets, series));
      else lines.push(`${name}${labels(series.attributes)} ${series.value}`);
    }
  }
  return lines.map((line) => `${line}\n`).join('');
}
