// Machines that agree on one moment, whatever order their messages take, whoever gives up, dies or comes late: those that label
// their logs with a moment were all frozen at one instant.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stableGuid } from '../../lib/ids.ts';
import {
  afterReport,
  answerTo,
  barrierAt,
  freezeLimitMs,
  gatherLimitMs,
  isOpen,
  openBarrier,
} from '../../lib/moments/barrier.ts';
import type { Barrier, BarrierAnswer, BarrierReport } from '../../lib/moments/barrier.ts';
import { newestCommonMoment } from '../../lib/moments/commonMoment.ts';

/** The service: one row, changed by one report at a time. */
class Service {
  current: Barrier | undefined;
  now = new Date('2026-01-01T00:00:00Z');
  readonly #members: readonly string[];
  #opened = 0;

  constructor(members: readonly string[]) {
    this.#members = members;
  }

  report(report: BarrierReport): BarrierAnswer {
    const before = this.current && barrierAt(this.current, this.now);
    if (report.state === 'ready' && !(before && isOpen(before)))
      this.current = openBarrier(
        stableGuid('moment', this.#opened++),
        this.#members,
        before?.lastCutId ?? null,
        this.now,
      );
    if (!this.current) return { id: null, phase: 'alone' };
    this.current = afterReport(this.current, report, this.now);
    return answerTo(this.current, report);
  }
}

/** A machine as docs/agent-protocol.md has it; `step` counts what happens anywhere. */
class Machine {
  readonly labels = new Map<string, { frozenAt: number; releasedAt: number }>();
  readonly item: string;
  #frozen: { id: string; at: number } | undefined;
  /** Answers that are on their way to it. */
  readonly #inbox: BarrierAnswer[] = [];

  constructor(item: string) {
    this.item = item;
  }

  send(service: Service): void {
    const report: BarrierReport = this.#frozen
      ? { item: this.item, state: 'frozen', id: this.#frozen.id }
      : { item: this.item, state: 'ready' };
    this.#inbox.push(service.report(report));
  }

  receive(step: number): void {
    const answer = this.#inbox.shift();
    if (!answer?.id) return;
    if (!this.#frozen && answer.phase === 'freezing') this.#frozen = { id: answer.id, at: step };
    if (this.#frozen?.id !== answer.id) return;
    if (answer.phase === 'cut') this.labels.set(answer.id, { frozenAt: this.#frozen.at, releasedAt: step });
    if (answer.phase === 'cut' || answer.phase === 'failed') this.#frozen = undefined;
  }

  /** Lets its writes go on without having read that all were frozen; also what a death does. */
  giveUp(): void {
    this.#frozen = undefined;
    this.#inbox.length = 0;
  }
}

const events = fc.array(
  fc.record({
    machine: fc.nat(),
    what: fc.oneof(
      { weight: 10, arbitrary: fc.constant('send' as const) },
      { weight: 10, arbitrary: fc.constant('receive' as const) },
      { weight: 1, arbitrary: fc.constant('giveUp' as const) },
    ),
    passesMs: fc.oneof(
      { weight: 20, arbitrary: fc.integer({ min: 0, max: 500 }) },
      { weight: 1, arbitrary: fc.integer({ min: freezeLimitMs, max: 2 * gatherLimitMs }) },
    ),
  }),
  { minLength: 20, maxLength: 300 },
);

describe('a moment', () => {
  it('is one instant at which all that label their logs with it were frozen', () => {
    let moments = 0;
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 5 }), events, (count, course) => {
        const machines = Array.from({ length: count }, (_, at) => new Machine(`vm-${at}`));
        const service = new Service(machines.map(({ item }) => item));
        for (const [step, { machine, what, passesMs }] of course.entries()) {
          service.now = new Date(service.now.getTime() + passesMs);
          const each = machines[machine % count]!;
          if (what === 'send') each.send(service);
          else if (what === 'receive') each.receive(step);
          else each.giveUp();
        }
        for (const id of new Set(machines.flatMap(({ labels }) => [...labels.keys()]))) {
          const labelled = machines.flatMap(({ labels }) => labels.get(id) ?? []);
          if (labelled.length > 1) moments++;
          const lastFrozen = Math.max(...labelled.map(({ frozenAt }) => frozenAt));
          const firstReleased = Math.min(...labelled.map(({ releasedAt }) => releasedAt));
          expect(lastFrozen).toBeLessThan(firstReleased);
        }
      }),
      { numRuns: 2000 },
    );
    // The courses do come to moments.
    expect(moments).toBeGreaterThan(20);
  });

  it('comes about for everybody when nobody gives up, and a slow one still learns of it', () => {
    const machines = ['a', 'b', 'c'].map((item) => new Machine(item));
    const service = new Service(['a', 'b', 'c']);
    for (let step = 0; step < 10; step++)
      for (const each of step < 5 ? machines : machines.slice(0, 2)) {
        each.send(service);
        if (each.item !== 'c' || step < 4) each.receive(step);
      }
    const [first] = [...machines[0]!.labels.keys()];
    machines[2]!.send(service);
    machines[2]!.receive(11);
    machines[2]!.receive(12);
    for (const { labels } of machines) expect([...labels.keys()]).toContain(first);
  });

  it('fails when one does not freeze in time, and a machine of no group is alone', () => {
    const service = new Service(['a', 'b']);
    service.report({ item: 'a', state: 'ready' });
    const { id, phase } = service.report({ item: 'b', state: 'ready' });
    expect(phase).toBe('freezing');
    expect(service.report({ item: 'a', state: 'frozen', id: id! }).phase).toBe('freezing');
    service.now = new Date(service.now.getTime() + freezeLimitMs + 1);
    expect(service.report({ item: 'b', state: 'frozen', id: id! }).phase).toBe('failed');
    expect(service.report({ item: 'x', state: 'ready' }).phase).toBe('alone');
  });
});

it('the newest common moment is one that every machine has a point of, and none is newer', () => {
  const point = fc.record({
    moment: fc.option(fc.integer({ min: 0, max: 5 }).map(String)),
    takenAt: fc.constant(''),
  });
  fc.assert(
    fc.property(fc.array(fc.array(point, { maxLength: 8 }), { minLength: 1, maxLength: 4 }), (all) => {
      // A moment's name is its time here.
      const points = all.map((each) => each.map(({ moment }) => ({ moment, takenAt: moment ?? '9' })));
      const common = ['5', '4', '3', '2', '1', '0'].find((moment) =>
        points.every((each) => each.some((one) => one.moment === moment)),
      );
      expect(newestCommonMoment(points)).toBe(common);
    }),
  );
});
