// The machine's part in a moment of its consistency group: docs/agent-protocol.md, section 4a.
//
// A log may name the moment only if the machine's writes were held from before it said `frozen` until after it had read `cut` and
// its view was frozen. The first half is whileHeld(), the second is the tracker's word (`holdProblem`). Every try
// has a name of its own, so that what one that was given up said never counts for the next one. Whatever goes wrong, the cycle is cut all the same, as an ordinary one: nobody's absence stops the replication of this machine.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Assignment, MomentAnswer, MomentReport } from '../serviceClient.ts';
import type { FrozenCycle } from '../track/tracker.ts';
import { messageOf } from './failures.ts';
import type { ItemContext } from './itemContext.ts';

/** So long the machine waits for the others, running; and no longer than a quarter of its interval. */
const gatherLimitMs = 60_000;
const gatherPauseMs = 1000;
/** So long its writes are held for the others. The service gives up after 10 s. */
const holdLimitMs = 5000;
const holdPauseMs = 20;

/** A moment that all machines of the group are ready for. */
export interface GroupMoment {
  /** For the tracker: says that the writes are held, until the service has decided. */
  whileHeld: () => Promise<boolean>;
  /** The name of the moment, if the cycle that was frozen with whileHeld() shows it. */
  shownBy: (cycle: Pick<FrozenCycle, 'holdProblem'>) => string | undefined;
}

/** What of the item's context is needed here. */
type Part = Pick<
  ItemContext,
  'item' | 'client' | 'tracker' | 'logFolders' | 'signal' | 'log' | 'report' | 'saidOfMoments'
>;

/** Logs what lasts once. */
function say(part: Part, text: string): void {
  if (part.saidOfMoments === text) return;
  part.saidOfMoments = text;
  part.log(`${part.item}: ${text}`);
}

/** Whether the machine cuts cycles at moments of a group; says when it should and cannot. */
export function takesPart(part: Part, { policy }: Pick<Assignment, 'policy'>): boolean {
  if (policy?.consistencyGroup !== true) return false;
  if (!part.logFolders && part.tracker.canHold === true) return true;
  say(
    part,
    'its policy has a consistency group, and the writes of this machine cannot be held (docs/agent.md): it takes no part, and the group has no moments; give the machine another policy',
  );
  return false;
}

/** The next multiple of the interval after a time: hosts with the same interval are due at the same time, without asking. */
export const alignedMs = (afterMs: number, intervalMs: number): number =>
  (Math.floor(afterMs / intervalMs) + 1) * intervalMs;

/** The answer, if it comes in time; undefined when it does not, or is an error. Throws only when the agent ends. */
async function ask(part: Part, report: MomentReport, limitMs: number): Promise<MomentAnswer | undefined> {
  const { client, item, signal } = part;
  const end = new AbortController();
  const answer = client.reportMoment(item, report).catch((error: unknown) => {
    if (!signal.aborted) say(part, `no moment of the consistency group: ${messageOf(error)}`);
    return undefined;
  });
  const late = sleep(Math.max(0, limitMs), undefined, {
    signal: AbortSignal.any([signal, end.signal]),
  }).catch(() => undefined);
  try {
    const first = await Promise.race([answer, late]);
    signal.throwIfAborted();
    return first;
  } finally {
    end.abort();
  }
}

/** Says that the writes are held until the service has decided; true when the moment has come about. */
async function awaitCut(part: Part, attempt: string, id: string): Promise<boolean> {
  const endMs = Date.now() + holdLimitMs;
  for (;;) {
    const answer = await ask(part, { attempt, state: 'frozen', id }, endMs - Date.now());
    if (answer?.phase === 'cut') return answer.id === id;
    if (answer?.phase !== 'freezing' || Date.now() >= endMs) return false;
    await sleep(holdPauseMs, undefined, { signal: part.signal });
  }
}

function momentOf(part: Part, attempt: string, id: string): GroupMoment {
  let isCut = false;
  return {
    whileHeld: async () => (isCut = await awaitCut(part, attempt, id)),
    shownBy: ({ holdProblem }) => {
      if (isCut && holdProblem === null) {
        say(part, 'cycles show moments of the consistency group');
        return id;
      }
      const why = isCut || typeof holdProblem === 'string' ? (holdProblem ?? 'not held') : 'not decided';
      say(part, `no moment of the consistency group: ${why}`);
      return undefined;
    },
  };
}

/**
 * Waits until every machine of the group is ready for a cycle. Undefined: there is no group, or not all came in time; then an ordinary
 * cycle is cut. Throws only when the agent ends.
 */
export async function gatherMoment(
  part: Part,
  assignment: Pick<Assignment, 'policy'>,
  intervalMs: number,
): Promise<GroupMoment | undefined> {
  if (!takesPart(part, assignment)) return undefined;
  const limitMs = Math.min(gatherLimitMs, intervalMs / 4);
  const endMs = Date.now() + limitMs;
  const attempt = randomUUID();
  for (;;) {
    const answer = await ask(part, { attempt, state: 'ready' }, endMs - Date.now());
    if (answer?.phase === 'freezing' && answer.id !== null) {
      return momentOf(part, attempt, answer.id);
    }
    if (answer?.phase !== 'gathering') return undefined;
    const leftMs = endMs - Date.now();
    if (leftMs <= 0) {
      say(part, 'no moment of the consistency group: not all machines were ready in time');
      return undefined;
    }
    part.report({ doing: 'waiting for the other machines of the consistency group' });
    await sleep(Math.min(gatherPauseMs, limitMs / 10, leftMs), undefined, { signal: part.signal });
  }
}
