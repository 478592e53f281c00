// One moment of several machines: the machines of a consistency group cut a cycle while all of them are frozen together.
//
//   gathering   a machine is about to cut its cycle and says "ready"; it runs on and asks again
//   freezing    all are ready: each holds its writes and says "frozen"
//   cut         all were frozen: each cuts its cycle, labels its logs with the moment, and lets its writes go on
//   failed      not all froze in time: each lets its writes go on and cuts an ordinary cycle
//
// Why it is one moment: a machine labels its logs only if it was still frozen when it read "cut", and "cut" is decided only after
// all have said "frozen". So at the moment of the decision every machine that labels was frozen, and what it cut is its state at
// that moment. A machine that gave up does not label, and then there is no point of the group. No clocks are compared.
//
// That holds only if "frozen" is of the freeze that labels. Each try of a machine therefore has a name of its own, the attempt: it
// freezes once. What an attempt that was given up said, or says late, never counts for the next one.
//
// Pure; moments.ts stores it.
import * as z from 'zod';

const member = z.object({
  state: z.enum(['absent', 'ready', 'frozen']),
  /** The attempt that said so; empty while absent. */
  attempt: z.string(),
});
const members = z.record(z.string(), member);

export const barrier = z.object({
  id: z.guid(),
  phase: z.enum(['gathering', 'freezing', 'cut', 'failed']),
  members,
  /** When the phase fails by itself. */
  deadline: z.iso.datetime(),
  /** The last moment that came about: a slow machine still asks for it when the next one has begun. */
  lastCut: z.object({ id: z.guid(), members }).nullable(),
});
export type Barrier = z.infer<typeof barrier>;

/** `attempt`: the machine's name for this try; another one after each freeze, and after each giving up. */
export type BarrierReport = { item: string; attempt: string } & (
  { state: 'ready' } | { state: 'frozen'; id: string }
);

/** `alone`: the machine belongs to no moment now; it cuts an ordinary cycle. */
export interface BarrierAnswer {
  id: string | null;
  phase: Barrier['phase'] | 'alone';
}

/** Machines wait this long for each other, running. */
export const gatherLimitMs = 60_000;
/** And this long with their writes held. */
export const freezeLimitMs = 10_000;

const after = (now: Date, ms: number): string => new Date(now.getTime() + ms).toISOString();

/** A new moment of these machines, after the last one of the group. */
export function openBarrier(
  id: string,
  items: readonly string[],
  lastCut: Barrier['lastCut'],
  now: Date,
): Barrier {
  return {
    ...{ id, phase: 'gathering', lastCut, deadline: after(now, gatherLimitMs) },
    members: Object.fromEntries(items.map((item) => [item, { state: 'absent', attempt: '' }])),
  };
}

/** The barrier as it is now: a phase whose time is over has failed. */
export const barrierAt = (current: Barrier, now: Date): Barrier =>
  (current.phase === 'gathering' || current.phase === 'freezing') && now.toISOString() > current.deadline
    ? { ...current, phase: 'failed' }
    : current;

export const isOpen = ({ phase }: Barrier): boolean => phase === 'gathering' || phase === 'freezing';

const all = ({ members }: Barrier, state: 'ready' | 'frozen'): boolean =>
  Object.values(members).every((each) => each.state === state);

/** The barrier after the report; the same report again changes nothing, and a late one of another moment or attempt neither. */
export function afterReport(before: Barrier, report: BarrierReport, now: Date): Barrier {
  const current = barrierAt(before, now);
  const known = current.members[report.item];
  if (known === undefined) return current;
  const { state, attempt } = report;
  const said = { ...current, members: { ...current.members, [report.item]: { state, attempt } } };
  if (state === 'ready') {
    if (current.phase === 'freezing' && known.attempt !== attempt) return { ...current, phase: 'failed' };
    if (current.phase !== 'gathering') return current;
    return all(said, 'ready') ? { ...said, phase: 'freezing', deadline: after(now, freezeLimitMs) } : said;
  }
  if (current.phase !== 'freezing' || report.id !== current.id || known.attempt !== attempt) return current;
  if (!all(said, 'frozen')) return said;
  return { ...said, phase: 'cut', lastCut: { id: current.id, members: said.members } };
}

/** What the machine reads. */
export function answerTo({ id, phase, members, lastCut }: Barrier, report: BarrierReport): BarrierAnswer {
  const { item, attempt } = report;
  if (report.state === 'ready')
    return members[item] === undefined ? { id: null, phase: 'alone' } : { id, phase };
  const isCut = report.id === lastCut?.id && lastCut.members[item]?.attempt === attempt;
  const isOurs = report.id === id && members[item]?.attempt === attempt;
  return { id: report.id, phase: isCut ? 'cut' : isOurs ? phase : 'failed' };
}
