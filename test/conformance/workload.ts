// What runs while hosts are killed: orchestrations of mixed kinds, each with the output and the side effects it must have.
// Everything follows from the random source, so a seed repeats the workload.
export interface WorkItem {
  id: string;
  orchestration: string;
  input: Record<string, unknown>;
  /** Raised one after the other, once the start was answered. No two of one instance have one name: a repeated raise is harmless. */
  events: { name: string; payload: unknown }[];
  output: unknown;
  /** Keys that must have at least this many effects. */
  effects: Map<string, number>;
}

/** An integer from 0 up to and without `below`. */
export type Random = (below: number) => number;

type Kind = (id: string, table: string, random: Random) => Omit<WorkItem, 'id'>;

const keysOf = (id: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${id}-${index}`);
const onceEach = (keys: readonly string[]): Map<string, number> => new Map(keys.map((key) => [key, 1]));

const kinds: Kind[] = [
  (id, effects, random) => {
    const keys = keysOf(id, 2 + random(5));
    return {
      orchestration: 'sequence',
      input: { effects, keys },
      events: [],
      output: keys,
      effects: onceEach(keys),
    };
  },
  (id, effects, random) => {
    const keys = keysOf(id, 5 + random(12));
    return {
      orchestration: 'fanOut',
      input: { effects, keys },
      events: [],
      output: keys,
      effects: onceEach(keys),
    };
  },
  (id, effects, random) => {
    const groups = [keysOf(`${id}-left`, 1 + random(3)), keysOf(`${id}-right`, 1 + random(3))];
    const input = { effects, groups };
    return { orchestration: 'parent', input, events: [], output: groups, effects: onceEach(groups.flat()) };
  },
  (id, effects, random) => {
    const rounds = 2 + random(4);
    const input = { effects, prefix: `${id}-`, round: 0, rounds: rounds - 1, seen: [] };
    const output = keysOf(id, rounds);
    return { orchestration: 'rounds', input, events: [], output, effects: onceEach(output) };
  },
  (id) => {
    const events = ['red', 'green', 'blue'].map((name) => ({ name, payload: `${id} ${name}` }));
    const input = { names: events.map(({ name }) => name) };
    const output = events.map(({ payload }) => payload);
    return { orchestration: 'collect', input, events, output, effects: new Map() };
  },
  (id) => ({
    orchestration: 'approval',
    input: { timeoutMs: 3_600_000 },
    events: [{ name: 'approve', payload: id }],
    output: { approved: id },
    effects: new Map(),
  }),
  (id, effects, random) => {
    const times = 1 + random(2);
    return {
      orchestration: 'retried',
      // A run whose result a kill swallowed is repeated under the same attempt, so it needs no spare attempts.
      input: { effects, key: id, times, attempts: times + 1 },
      events: [],
      output: { done: true, after: `after-${id}` },
      effects: new Map([
        [id, times + 1],
        [`after-${id}`, 1],
      ]),
    };
  },
  (id, effects, random) => {
    const keys = [`${id}-first`, `${id}-left`, `${id}-a`, `${id}-b`];
    return {
      orchestration: 'journey',
      input: { effects, prefix: id, delayMs: 100 + random(1500) },
      events: [{ name: 'decide', payload: { by: id } }],
      output: {
        first: `${id}-first`,
        both: [`${id}-left`, [`${id}-a`, `${id}-b`]],
        decision: { by: id },
        isRetriedWell: true,
      },
      effects: onceEach(keys).set(`${id}-flaky`, 2),
    };
  },
];

/** The `index`th piece of work of a run; kinds take turns. */
export function workItem(runId: string, index: number, table: string, random: Random): WorkItem {
  const id = `${runId}-${index}`;
  const kind = kinds[index % kinds.length];
  if (kind === undefined) throw new Error('There is no kind of work.');
  return { id, ...kind(id, table, random) };
}
