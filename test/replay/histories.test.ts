// Orchestrations that were begun by an earlier version of the app go on in this one: each recorded history, replayed, must ask
// for the same things in the same order. A history that does not any more is an orchestration that a deployment would break.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { replayHistory } from '../support/orchestrationRunner.ts';
import type { RecordedInstance } from '../support/orchestrationRunner.ts';

const folder = join(import.meta.dirname, '..', 'fixtures', 'histories');

describe('recorded histories', () => {
  it.each(readdirSync(folder).sort())('%s replays, and every beginning of it', (file) => {
    const recorded = JSON.parse(readFileSync(join(folder, file), 'utf8')) as RecordedInstance;
    const { history } = recorded;
    expect(history.length).toBeGreaterThan(0);
    for (let length = 0; length < history.length; length++) {
      const next = replayHistory({ ...recorded, history: history.slice(0, length) });
      expect(next).toBe(history[length]!.asked);
    }
    expect(replayHistory(recorded)).toBeUndefined();
  });
});
