// `lifeboat hrl diff`: whether two logs do the same to a disk, and where not. Differences are printed as they are found.
import { diffLogs, type LogDifference } from '../../lib/merge/diffLogs.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { totalLength } from '../../lib/merge/segments.ts';
import { NegativeResult } from '../failure.ts';
import { formatBytes, formatFacts } from '../humanText.ts';
import { print, type Io } from '../io.ts';
import { startProgress } from '../progress.ts';
import { openChain, type OpenChain } from './openLogs.ts';

export interface DiffOptions {
  all?: boolean;
  json?: boolean;
}

/** Without --all so many ranges are listed; all are counted. */
const listedRanges = 20;

interface KindTotals {
  rangeCount: number;
  bytes: number;
}

const kindNames = {
  'only first': 'onlyFirst',
  'only second': 'onlySecond',
  'other data': 'otherData',
} as const satisfies Record<LogDifference['kind'], string>;

type Totals = Record<(typeof kindNames)[LogDifference['kind']], KindTotals>;

function emptyTotals(): Totals {
  const none = (): KindTotals => ({ rangeCount: 0, bytes: 0 });
  return { onlyFirst: none(), onlySecond: none(), otherData: none() };
}

function lineOf({ kind, diskOffset, length }: LogDifference): string {
  return `${kind.padEnd(11)} [${diskOffset}, ${diskOffset + length}) ${formatBytes(length)}\n`;
}

/** One log as a plan that can be compared. */
function planOf(chain: OpenChain) {
  const segments = planMerge(chain.entries);
  const facts = { entryCount: chain.entries.count, effectiveBytes: totalLength(segments) };
  return { effect: { source: chain.source, segments }, facts };
}

/** Prints the differences as they come, within the limit, and returns what they add up to. */
async function printDifferences(
  io: Io,
  differences: AsyncIterable<LogDifference>,
  { all = false, json = false }: DiffOptions,
): Promise<Totals> {
  const totals = emptyTotals();
  let found = 0;
  for await (const difference of differences) {
    io.signal.throwIfAborted();
    const kind = totals[kindNames[difference.kind]];
    kind.rangeCount++;
    kind.bytes += difference.length;
    if (all || found < listedRanges)
      await print(
        io,
        json
          ? `${found === 0 ? '' : ','}${JSON.stringify({ ...difference, kind: kindNames[difference.kind] })}`
          : lineOf(difference),
      );
    found++;
  }
  if (!json && !all && found > listedRanges)
    await print(io, `… and ${found - listedRanges} more ranges: --all lists them\n`);
  return totals;
}

/** Throws HrlError for a log that is wrong, NegativeResult (exit code 1) when the logs have another effect. */
export async function diffTwoLogs(
  io: Io,
  files: { first: string; second: string },
  options: DiffOptions,
): Promise<void> {
  const isJson = options.json === true;
  await using firstChain = await openChain(io, [files.first], { json: isJson });
  await using secondChain = await openChain(io, [files.second], { json: isJson });
  const first = planOf(firstChain);
  const second = planOf(secondChain);
  if (isJson) await print(io, `${JSON.stringify({ ...files }).slice(0, -1)},"differences":[`);
  const progress = startProgress(io, 'comparing', first.facts.effectiveBytes, isJson);
  const differences = diffLogs(first.effect, second.effect, {
    signal: io.signal,
    onCompared: progress.report,
  });
  const totals = await printDifferences(io, differences, options).finally(progress.end);
  const isSame = Object.values(totals).every(({ rangeCount }) => rangeCount === 0);
  if (isJson) {
    const rest = { sameEffect: isSame, ...totals, firstLog: first.facts, secondLog: second.facts };
    await print(io, `],${JSON.stringify(rest).slice(1)}\n`);
  } else await print(io, summaryText(files, isSame, totals));
  if (!isSame) throw new NegativeResult('the logs have another effect');
}

function summaryText(files: { first: string; second: string }, isSame: boolean, totals: Totals): string {
  if (isSame) return `${files.first} and ${files.second} have the same effect on every disk.\n`;
  const text = ({ rangeCount, bytes }: KindTotals): string => {
    return `${bytes} (${formatBytes(bytes)}) in ${rangeCount} ranges`;
  };
  return formatFacts([
    [`only in ${files.first}`, text(totals.onlyFirst)],
    [`only in ${files.second}`, text(totals.onlySecond)],
    ['other data', text(totals.otherData)],
  ]);
}
