// What a benchmark returns, and how it is shown. Numbers are for reading and comparing; nothing here judges them.

export interface Measurement {
  what: string;
  value: number;
  unit: string;
  /** How the value came about: spread, settings, a peer in the same run. */
  detail?: string;
}

/** A group of benchmarks that run one after the other. */
export interface BenchGroup {
  what: string;
  /** Runs only when it is named: it takes more time or room than others. */
  isOnRequest?: boolean;
  run(progress: (line: string) => void): Promise<Measurement[]>;
}

/** The value that `fraction` of the values do not exceed; with 0.5 the median. Throws on no values. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * fraction) - 1)];
  if (value === undefined) throw new Error('No values to summarize.');
  return value;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Three significant digits, no exponent. */
function formatNumber(value: number): string {
  return value >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

/** One aligned line a measurement. */
export function formatTable(measurements: readonly Measurement[]): string {
  const rows = measurements.map(({ what, value, unit, detail = '' }) => [
    what,
    formatNumber(value),
    unit,
    detail,
  ]);
  const widthOf = (column: number): number => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const [whatWidth, valueWidth, unitWidth] = [widthOf(0), widthOf(1), widthOf(2)];
  return rows
    .map(([what = '', value = '', unit = '', detail = '']) =>
      `${what.padEnd(whatWidth)}  ${value.padStart(valueWidth)} ${unit.padEnd(unitWidth)}  ${detail}`.trimEnd(),
    )
    .join('\n');
}
