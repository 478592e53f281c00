// The metrics of this process as numbers: what a scrape reads. Counters and histograms grow from the start of the process; a
// gauge is forgotten when nobody sets it any more, because then another process looks after its item.
import { metricCatalogue, metricDefinition } from './names.ts';
import type { MetricAttributes, MetricName } from './names.ts';

/** Series of one process; more are dropped and counted. 10,000 items have 4 each. */
const seriesLimit = 50_000;
const gaugeLifeMs = 15 * 60_000;

export interface Series {
  attributes: Readonly<Record<string, string>>;
  /** Value of a counter or gauge, sum of a histogram. */
  value: number;
  /** Values of a histogram by bucket: those up to each bound, and one for those above all. Not cumulative. */
  counts: number[];
  updatedAtMs: number;
}

export class MetricTable {
  readonly #nowMs: () => number;
  readonly #seriesLimit: number;
  readonly #table = new Map<MetricName, Map<string, Series>>();
  #count = 0;

  constructor(nowMs: () => number = Date.now, limit = seriesLimit) {
    this.#nowMs = nowMs;
    this.#seriesLimit = limit;
  }

  record<M extends MetricName>(metric: M, value: number, attributes: MetricAttributes<M>): void {
    if (!Number.isFinite(value)) return;
    const series = this.#seriesOf(metric, attributes);
    if (!series) return;
    const { kind, buckets = [] } = metricDefinition(metric);
    series.updatedAtMs = this.#nowMs();
    series.value = kind === 'gauge' ? value : series.value + value;
    if (kind !== 'histogram') return;
    const bucket = buckets.findIndex((bound) => value <= bound);
    const index = bucket === -1 ? buckets.length : bucket;
    series.counts[index] = (series.counts[index] ?? 0) + 1;
  }

  /** Every metric that has a value, in the order of the catalogue. */
  *read(): Iterable<[MetricName, Series[]]> {
    this.#forgetOldGauges();
    for (const name of Object.keys(metricCatalogue) as MetricName[]) {
      const series = this.#table.get(name);
      if (series && series.size > 0) yield [name, [...series.values()]];
    }
  }

  #seriesOf(metric: MetricName, attributes: Readonly<Record<string, string>>): Series | undefined {
    const all = this.#table.get(metric) ?? new Map<string, Series>();
    this.#table.set(metric, all);
    const { attributes: names, buckets } = metricDefinition(metric);
    const key = names.map((name) => attributes[name] ?? '').join('\0');
    const known = all.get(key);
    if (known) return known;
    if (this.#count >= this.#seriesLimit) this.#forgetOldGauges();
    if (this.#count >= this.#seriesLimit && metric !== 'lifeboat.telemetry.dropped') {
      this.record('lifeboat.telemetry.dropped', 1, {});
      return undefined;
    }
    const counts = buckets === undefined ? [] : Array.from({ length: buckets.length + 1 }, () => 0);
    const added = { attributes, value: 0, counts, updatedAtMs: this.#nowMs() };
    all.set(key, added);
    this.#count++;
    return added;
  }

  #forgetOldGauges(): void {
    const oldest = this.#nowMs() - gaugeLifeMs;
    for (const [name, all] of this.#table) {
      if (metricDefinition(name).kind !== 'gauge') continue;
      for (const [key, { updatedAtMs }] of all) {
        if (updatedAtMs < oldest && all.delete(key)) this.#count--;
      }
    }
  }
}
