import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatExposition, expositionName } from '../../../lib/telemetry/exposition.ts';
import { MetricTable } from '../../../lib/telemetry/metricTable.ts';
import { metricCatalogue, metricDefinition, spanNames } from '../../../lib/telemetry/names.ts';
import type { MetricName } from '../../../lib/telemetry/names.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const names = Object.keys(metricCatalogue) as MetricName[];

describe('MetricTable', () => {
  it('adds to counters, replaces gauges, and sorts histograms into buckets', () => {
    const table = new MetricTable();
    table.record('lifeboat.merge.bytes', 10, {});
    table.record('lifeboat.merge.bytes', 5, {});
    table.record('lifeboat.rpo', 100, { item: 'vm-1' });
    table.record('lifeboat.rpo', 20, { item: 'vm-1' });
    table.record('lifeboat.rpo', 7, { item: 'vm-2' });
    for (const seconds of [0.1, 0.2, 4000]) table.record('lifeboat.cycle.duration', seconds, {});
    const read = Object.fromEntries(table.read());
    expect(read['lifeboat.merge.bytes']?.[0]?.value).toBe(15);
    expect(read['lifeboat.rpo']?.map(({ value }) => value)).toEqual([20, 7]);
    const [duration] = read['lifeboat.cycle.duration'] ?? [];
    expect(duration?.counts.map((count, index) => [index, count]).filter(([, count]) => count)).toEqual([
      [0, 1],
      [1, 1],
      [12, 1],
    ]);
  });

  it('ignores what is no number', () => {
    const table = new MetricTable();
    table.record('lifeboat.rpo', Number.NaN, { item: 'vm-1' });
    expect([...table.read()]).toEqual([]);
  });

  it('forgets a gauge that nobody sets any more, and never a counter', () => {
    let nowMs = 0;
    const table = new MetricTable(() => nowMs);
    table.record('lifeboat.rpo', 1, { item: 'vm-1' });
    table.record('lifeboat.merge.bytes', 1, {});
    nowMs = 16 * 60_000;
    expect([...table.read()].map(([name]) => name)).toEqual(['lifeboat.merge.bytes']);
  });

  it('has a limit of series, above which values are dropped and counted', () => {
    const table = new MetricTable(() => 0, 3);
    for (let index = 0; index < 10; index++) table.record('lifeboat.rpo', 1, { item: `vm-${index}` });
    const read = Object.fromEntries(table.read());
    expect(read['lifeboat.rpo']).toHaveLength(3);
    expect(read['lifeboat.telemetry.dropped']?.[0]?.value).toBe(7);
  });
});

describe('formatExposition', () => {
  it('writes the text format: names with units, cumulative buckets, escaped labels', () => {
    const table = new MetricTable();
    table.record('lifeboat.rpo', 12.5, { item: 'a"b\\c\nd' });
    table.record('lifeboat.job.ended', 1, { scenario: 'EnableDr', state: 'Failed' });
    for (const seconds of [0.1, 0.1, 3, 9999]) table.record('lifeboat.cycle.latency', seconds, {});
    const lines = formatExposition(table).split('\n');
    expect(lines).toContain('# TYPE lifeboat_rpo_seconds gauge');
    expect(lines).toContain('lifeboat_rpo_seconds{item="a\\"b\\\\c\\nd"} 12.5');
    expect(lines).toContain('lifeboat_job_ended_total{scenario="EnableDr",state="Failed"} 1');
    expect(lines).toContain('lifeboat_cycle_latency_seconds_bucket{le="0.1"} 2');
    expect(lines).toContain('lifeboat_cycle_latency_seconds_bucket{le="5"} 3');
    expect(lines).toContain('lifeboat_cycle_latency_seconds_bucket{le="+Inf"} 4');
    expect(lines).toContain('lifeboat_cycle_latency_seconds_count 4');
    expect(lines.at(-1)).toBe('');
  });

  it('has a valid and distinct name for every metric', () => {
    const all = names.map(expositionName);
    expect(new Set(all).size).toBe(names.length);
    for (const name of all) expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
    for (const name of names) {
      const { kind, buckets } = metricDefinition(name);
      expect(kind === 'histogram', name).toBe(buckets !== undefined);
      expect(buckets ?? [], name).toEqual([...(buckets ?? [])].sort((a, b) => a - b));
    }
  });
});

describe('who uses the names', () => {
  it.each(['infra/modules/alerts.bicep', 'infra/workbook.json'])('%s asks for names that exist', (file) => {
    const text = readFileSync(join(root, file), 'utf8');
    const known: readonly string[] = [...names, ...spanNames];
    const used = [...text.matchAll(/name == \\?"(lifeboat\.[\w.]+)\\?"/g)].map(([, name = '']) => name);
    expect(used.length).toBeGreaterThan(3);
    expect(used.filter((name) => !known.includes(name))).toEqual([]);
  });

  it('docs/observability.md lists every metric and span', () => {
    const text = readFileSync(join(root, 'docs', 'observability.md'), 'utf8');
    for (const name of names) {
      const { kind, unit, description, attributes } = metricDefinition(name);
      const row = `| \`${name}\` | ${kind} | ${unit} | ${attributes.join(', ')} | ${description} |`;
      expect(text).toContain(row);
    }
    for (const name of spanNames) expect(text).toContain(`\`${name}\``);
  });
});
