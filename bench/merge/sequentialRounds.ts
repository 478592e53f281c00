// What the rounds of the sequential merge took, and the rates and ratios that follow.
import { median, type Measurement } from '../measurements.ts';

export const logMiB = 256;
export const roundCount = 5;
export const usualLogMiB = 48;

/** Seconds of each step in each round. */
export type Rounds = Record<
  | 'check'
  | 'merge'
  | 'mergeUnkept'
  | 'mergeWithMd5'
  | 'readBack'
  | 'plainReads'
  | 'plainWrites'
  | 'usualCheck'
  | 'usualMerge'
  | 'usualWrites',
  number[]
>;

export function summarizeSequential(rounds: Rounds): Measurement[] {
  const rate = (step: keyof Rounds, mib = logMiB): number => mib / median(rounds[step]);
  // The ratio of each round, then the median: what the machine did meanwhile met both sides of a ratio.
  const ratio = (step: keyof Rounds, ...to: (keyof Rounds)[]): number =>
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
    row('plain 4 MiB Put Pages', rate('plainWrites'), 'MiB/s', 'best of 1, 4 and 8 at a time'),
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
