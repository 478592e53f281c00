// The words for an orchestrator that did something else than its history says. The first sentence is the extension's.
import { eventType, type SchedulingEvent } from './events.ts';

const advice =
  'An orchestrator must do the same on every replay: no clock, random value, environment or I/O, and no change of its code while instances run.';

/** Why `now` is not what the history recorded as `past`; undefined when it is. Strict also compares inputs and due times. */
export function describeMismatch(
  past: SchedulingEvent,
  now: SchedulingEvent | undefined,
  strict: boolean,
): string | undefined {
  const found = now === undefined ? 'nothing' : describe(now);
  if (now?.EventType !== past.EventType || nameOf(now) !== nameOf(past)) {
    return `Non-Deterministic workflow detected: task #${past.EventId} was ${describe(past)} when it was scheduled, but this replay scheduled ${found} in its place. ${advice}`;
  }
  if (!strict) return undefined;
  const before = detailOf(past);
  const after = detailOf(now);
  if (before === after) return undefined;
  return `Non-Deterministic workflow detected (strict mode): task #${past.EventId}, ${describe(past)}, was scheduled with ${clip(before)}, but this replay scheduled it with ${clip(after)}. ${advice}`;
}

/** Why two executions over the same history differ; undefined when they do not. Strict mode's check after each episode. */
export function describeDivergence(first: string, second: string): string | undefined {
  if (first === second) return undefined;
  let at = 0;
  while (first[at] === second[at]) at++;
  const around = (text: string) => clip(text.slice(Math.max(0, at - 60), at + 60));
  return `Non-Deterministic workflow detected (strict mode): the same history gave two different results; the first said …${around(first)}…, the second …${around(second)}…. ${advice}`;
}

function describe(event: SchedulingEvent): string {
  switch (event.EventType) {
    case eventType.taskScheduled:
      return `activity '${event.Name}'`;
    case eventType.subOrchestrationCreated:
      return `sub-orchestration '${event.Name}'`;
    case eventType.timerCreated:
      return 'a timer';
  }
}

function nameOf(event: SchedulingEvent): string {
  return event.EventType === eventType.timerCreated ? '' : event.Name;
}

function detailOf(event: SchedulingEvent): string {
  return event.EventType === eventType.timerCreated
    ? `due time ${Date.parse(event.FireAt)}`
    : `input ${event.Input ?? 'none'}`;
}

function clip(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
