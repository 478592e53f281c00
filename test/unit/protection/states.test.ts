// The state table as a graph: no state is a trap, and what the table does not say does not happen.
import { describe, expect, it } from 'vitest';
import {
  findTransition,
  protectionEvents,
  protectionStates,
  stateAllows,
  stateTable,
  transition,
} from '../../../lib/protection/states.ts';

function reachableFrom(start: (typeof protectionStates)[number]): Set<string> {
  const reached = new Set<string>([start]);
  const open = [start];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    for (const event of protectionEvents) {
      const next = findTransition(state, event);
      if (next === undefined || reached.has(next)) continue;
      reached.add(next);
      open.push(next);
    }
  }
  return reached;
}

describe('protection states', () => {
  it('are all reached from the first', () => {
    expect([...reachableFrom('EnablingProtection')].sort()).toEqual([...protectionStates].sort());
  });

  it.each(protectionStates)('%s has a way out: protection can be disabled from it', (state) => {
    expect(reachableFrom(state)).toContain('DisablingProtection');
  });

  it.each(protectionStates)('%s that allows disabling knows the event', (state) => {
    if (stateAllows(state, 'DisableProtection'))
      expect(findTransition(state, 'disableRequested')).toBe('DisablingProtection');
  });

  it.each(protectionStates)(
    '%s refuses every event that its row does not name, and names where it fits',
    (state) => {
      for (const event of protectionEvents) {
        const on: Partial<Record<string, string>> = stateTable[state].on;
        if (on[event] !== undefined) expect(transition(state, event)).toBe(on[event]);
        else
          expect(() => transition(state, event)).toThrow(
            expect.objectContaining({ code: 'OperationNotSupportedInState' }) as Error,
          );
      }
    },
  );
});
