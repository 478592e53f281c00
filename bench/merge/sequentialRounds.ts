// What the rounds of the sequential merge took, and the rates and ratios that follow.
import { median, type Measurement } from '../measurements.ts';

export const logMiB = 256;
export const roundCount = 5;
export const usualLogMiB = 48;
/** Of plain Put Pages. */
export const concurrencies = [1, 4, 8];

/** Seconds of each step in each round. */
export type Rounds = Record<
  | 'check'
  | 'merge'
  | 'mergeUnkept'
  | 'mergeWithMd5'
  | 'readBack'
  | 'plainReads'
  | 'usualCheck'
  | 'usualMerge',
  number[]
>;

/** Seconds of plain Put Pages, in each round with each of the concurrencies. */
export type PlainRounds = Record<'usual' | 'large', number[][]>;

/** The rounds of the concurrency that is the quickest over all of them: the luckiest of three in each round is none. */
function bestConcurrency(rounds: readonly number[][]): number[] {
  const each = concurrencies.map((_, index) => rounds.map((seconds) => seconds[index] ?? Number.NaN));
  return each.reduce((best, other) => (median(other) < median(best) ? other : best));
}

export function summarizeSequential(steps: Rounds, plain: PlainRounds): Measurement[] {
  const rounds = {
    ...steps,
    plainWrites: bestConcurrency(plain.large),
    usualWrites: bestConcurrency(plain.usual),
  };
  const rate = (step: keyof typeof rounds, mib = logMiB): number => mib / median(rounds[step]);
  // The ratio of each round, then the median: what the machine did meanwhile met both sides of a ratio.
  const ratio = (step: keyof typeof rounds, ...to: (keyof typeof rounds)[]): number =>
    median(
      rounds[step].map(
        (seconds, round) => to.reduce((sum, each) => sum + (rounds[each][round] ?? 0), 0) / seconds,
      ),
    );
  const detail = `median of ${roundCount}, ${logMiB} MiB in entries of 64 KiB`;
  const usual = `median of ${roundCount}, ${usualLogMiB} MiB, all of it kept by its check`;
  const row = (what: string, value: number, unit: string, how: string): Measurement => {
    return { what, value, unit, detail: how };
  };
  return [
    row('merge of a log of usual size', rate('usualMerge', usualLogMiB), 'MiB/s', usual),
    row(
      'merge of a log of usual size / plain Put Pages of as much',
      ratio('usualMerge', 'usualWrites'),
      '×',
      usual,
    ),
    row('check of a log of usual size', rate('usualCheck', usualLogMiB), 'MiB/s', usual),
    row('merge of a large log', rate('merge'), 'MiB/s', `${detail}; kept by its check, a fifth in memory`),
    row('merge of a large log, nothing kept', rate('mergeUnkept'), 'MiB/s', detail),
    row(
      'plain 4 MiB Put Pages',
      rate('plainWrites'),
      'MiB/s',
      '1, 4 or 8 at a time, whichever has the best median',
    ),
    row('plain reads of the log', rate('plainReads'), 'MiB/s', '8 MiB, 4 at a time'),
    row('merge of a large log / plain Put Pages', ratio('merge', 'plainWrites'), '×', 'kept by its check'),
    row(
      'merge, nothing kept / plain Put Pages',
      ratio('mergeUnkept', 'plainWrites'),
      '×',
      'every byte crosses the emulator twice',
    ),
    row(
      'merge, nothing kept / plain reads and Put Pages',
      ratio('mergeUnkept', 'plainReads', 'plainWrites'),
      '×',
      'the ceiling on an emulator with one thread; median of the ratios',
    ),
    row('merge with MD5 / without', ratio('mergeWithMd5', 'merge'), '×', 'the emulator does not check it'),
    row('check of the large log', rate('check'), 'MiB/s', detail),
    row('reading back', rate('readBack'), 'MiB/s', 'reads what is not kept of the log, and the replica'),
  ];
}
