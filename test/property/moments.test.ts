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
        before?.lastCut ?? null,
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
  #attempts = 1;
  #frozen: { id: string; at: number } | undefined;
  /** Requests on their way to the service: they outlive who sent them. */
  readonly #outbox: BarrierReport[] = [];
  /** Answers on their way to it. */
  readonly #inbox: { attempt: string; answer: BarrierAnswer }[] = [];

  constructor(item: string) {
    this.item = item;
  }

  get #attempt(): string {
    return `${this.item}-${this.#attempts}`;
  }

  send(): void {
    const about = { item: this.item, attempt: this.#attempt };
    this.#outbox.push(
      this.#frozen ? { ...about, state: 'frozen', id: this.#frozen.id } : { ...about, state: 'ready' },
    );
  }

  /** Any of the requests that are on their way arrives. */
  arrive(service: Service, which = 0): void {
    const [report] = this.#outbox.splice(which % Math.max(1, this.#outbox.length), 1);
    if (report) this.#inbox.push({ attempt: report.attempt, answer: service.report(report) });
  }

  receive(step: number): void {
    const { attempt, answer } = this.#inbox.shift() ?? {};
    if (!answer?.id || attempt !== this.#attempt) return;
    if (!this.#frozen && answer.phase === 'freezing') this.#frozen = { id: answer.id, at: step };
    if (this.#frozen?.id !== answer.id) return;
    if (answer.phase === 'cut') this.labels.set(answer.id, { frozenAt: this.#frozen.at, releasedAt: step });
    if (answer.phase === 'cut' || answer.phase === 'failed') this.giveUp();
  }

  talk(service: Service, step: number): void {
    this.send();
    this.arrive(service, this.#outbox.length - 1);
    this.receive(step);
  }

  /** Lets its writes go on, whether it has read that all were frozen or not; also what a death does. */
  giveUp(): void {
    this.#frozen = undefined;
    this.#attempts++;
  }
}

const events = fc.array(
  fc.record({
    machine: fc.nat(),
    which: fc.nat(),
    what: fc.oneof(
      // Asks and hears at once, as on a good network.
      { weight: 20, arbitrary: fc.constant('talk' as const) },
      { weight: 4, arbitrary: fc.constant('send' as const) },
      { weight: 4, arbitrary: fc.constant('arrive' as const) },
      { weight: 4, arbitrary: fc.constant('receive' as const) },
      { weight: 1, arbitrary: fc.constant('giveUp' as const) },
    ),
    passesMs: fc.oneof(
      { weight: 20, arbitrary: fc.integer({ min: 0, max: 500 }) },
      { weight: 1, arbitrary: fc.integer({ min: freezeLimitMs, max: 2 * gatherLimitMs }) },
    ),
  }),
  { minLength: 20, maxLength: 400 },
);

describe('a moment', () => {
  it('is one instant at which all that label their logs with it were frozen', () => {
    let moments = 0;
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 5 }), events, (count, course) => {
        const machines = Array.from({ length: count }, (_, at) => new Machine(`vm-${at}`));
        const service = new Service(machines.map(({ item }) => item));
        for (const [step, { machine, which, what, passesMs }] of course.entries()) {
          service.now = new Date(service.now.getTime() + passesMs);
          const each = machines[machine % count]!;
          if (what === 'send') each.send();
          else if (what === 'arrive') each.arrive(service, which);
          else if (what === 'receive') each.receive(step);
          else if (what === 'talk') each.talk(service, step);
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
        each.send();
        each.arrive(service);
        if (each.item !== 'c' || step < 4) each.receive(step);
      }
    const [first] = [...machines[0]!.labels.keys()];
    machines[2]!.send();
    machines[2]!.arrive(service);
    machines[2]!.receive(11);
    machines[2]!.receive(12);
    for (const { labels } of machines) expect([...labels.keys()]).toContain(first);
  });

  it('fails when one does not freeze in time, and a machine of no group is alone', () => {
    const service = new Service(['a', 'b']);
    const attempt = '1';
    service.report({ item: 'a', attempt, state: 'ready' });
    const { id, phase } = service.report({ item: 'b', attempt, state: 'ready' });
    expect(phase).toBe('freezing');
    expect(service.report({ item: 'a', attempt, state: 'frozen', id: id! }).phase).toBe('freezing');
    service.now = new Date(service.now.getTime() + freezeLimitMs + 1);
    expect(service.report({ item: 'b', attempt, state: 'frozen', id: id! }).phase).toBe('failed');
    expect(service.report({ item: 'x', attempt, state: 'ready' }).phase).toBe('alone');
  });

  it('fails for all when one that has frozen lets go and comes again', () => {
    const service = new Service(['a', 'b']);
    service.report({ item: 'a', attempt: '1', state: 'ready' });
    const { id } = service.report({ item: 'b', attempt: '1', state: 'ready' });
    expect(service.report({ item: 'a', attempt: '1', state: 'frozen', id: id! }).phase).toBe('freezing');
    expect(service.report({ item: 'a', attempt: '2', state: 'ready' })).toEqual({ id, phase: 'failed' });
    expect(service.report({ item: 'b', attempt: '1', state: 'frozen', id: id! }).phase).toBe('failed');
  });

  it('does not take what a dead process said late for the freeze of the next one', () => {
    const service = new Service(['a', 'b']);
    service.report({ item: 'a', attempt: '1', state: 'ready' });
    service.report({ item: 'a', attempt: '2', state: 'ready' });
    const { id } = service.report({ item: 'b', attempt: '1', state: 'ready' });
    expect(service.report({ item: 'b', attempt: '1', state: 'frozen', id: id! }).phase).toBe('freezing');
    expect(service.report({ item: 'a', attempt: '1', state: 'frozen', id: id! }).phase).toBe('failed');
    expect(service.report({ item: 'b', attempt: '1', state: 'frozen', id: id! }).phase).toBe('freezing');
    expect(service.report({ item: 'a', attempt: '2', state: 'frozen', id: id! }).phase).toBe('cut');
    expect(service.report({ item: 'a', attempt: '1', state: 'frozen', id: id! }).phase).toBe('failed');
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
