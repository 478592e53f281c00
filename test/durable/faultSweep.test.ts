// Crashes the host after every durable step of a run with all kinds of work, one step at a time (the moment before a step is the moment
// after another one), and then in random series at any point.
// After each crash a new host takes over the storage. Every instance must end with the right output, every side effect must have
// happened, and after a purge nothing may be left in the tables or the container.
import { TableClient } from '@azure/data-tables';
import { BlobServiceClient } from '@azure/storage-blob';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { activityRuns, DurableTestBed } from './durableTestBed.ts';

let bed: DurableTestBed;
beforeAll(async () => {
  bed = await DurableTestBed.create();
});
afterAll(() => bed.close());

/** Calls left before the next crash; Infinity for none. */
let stepsToCrash = Infinity;
let hasCrashed = false;
/** Which points count as steps. */
let isCounted: (name: string) => boolean = () => true;
const reached = new Set<string>();

async function startCrashingHost(): Promise<void> {
  hasCrashed = false;
  await bed.startHost({
    onFaultPoint(name) {
      reached.add(name);
      if (!isCounted(name) || --stepsToCrash > 0) return;
      hasCrashed = true;
      throw new Error(`crash at ${name}`);
    },
  });
}

/** Lets the next host take over after each crash; `nextCrash` says after how many steps that one dies. */
async function replaceCrashedHost(nextCrash: () => number): Promise<void> {
  if (!hasCrashed) return;
  stepsToCrash = nextCrash();
  await startCrashingHost();
}

/** Repeats a request until the host has accepted it: a host that crashed answers 503. */
async function insist(request: () => Promise<Response>, nextCrash: () => number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const { status } = await request();
    // 409: the start was durable before the crash. 410: so was the event, and the instance is done.
    if ([202, 409, 410].includes(status)) return;
    expect(status).toBe(503);
    await replaceCrashedHost(nextCrash);
  }
  throw new Error('the request was never accepted');
}

async function runScenario(run: string, nextCrash: () => number): Promise<void> {
  const ids = { everything: `${run} everything`, eternal: `${run} eternal`, large: `${run} large` };
  const runsBefore = activityRuns().length;
  stepsToCrash = nextCrash();
  await startCrashingHost();
  const start = (name: string, id: string, input: unknown) =>
    insist(() => bed.post(`orchestrators/${name}/${encodeURIComponent(id)}`, input), nextCrash);
  await start('everything', ids.everything, { key: run });
  await start('eternal', ids.eternal, { round: 1, rounds: 2, seen: [] });
  await start('large', ids.large, { size: 40_000 });
  await insist(
    () => bed.post(`instances/${encodeURIComponent(ids.everything)}/raiseEvent/go`, { go: run }),
    nextCrash,
  );
  const outputs: unknown[] = [];
  for (const id of Object.values(ids)) {
    const status = await bed.until(id, (now) => {
      void replaceCrashedHost(nextCrash);
      return ['Completed', 'Failed', 'Terminated'].includes(now.runtimeStatus);
    });
    outputs.push(status.output);
  }
  expect(outputs).toEqual([
    { first: `${run} first`, both: [`${run} left`, [`${run} child`]], decided: { go: run }, retried: true },
    [1, 2].map((round) => `${ids.eternal} round ${round}`),
    { length: 40_000, again: 'x'.repeat(40_000) },
  ]);
  const runs = activityRuns().slice(runsBefore);
  for (const effect of ['first', 'left', 'child', 'flaky']) expect(runs).toContain(`${run} ${effect}`);
  for (const round of [1, 2]) expect(runs).toContain(`${ids.eternal} round ${round}`);
}

async function expectEmptyAfterPurge(): Promise<void> {
  stepsToCrash = Infinity;
  // A new host, so that a crash at the very end has been recovered from as well.
  await bed.startHost();
  expect((await bed.request('instances?runtimeStatus=Pending,Running,Suspended')).status).toBe(200);
  await bed.request('instances', { method: 'DELETE' });
  const { connectionString } = bed.azurite;
  for (const table of ['Instances', 'History', 'Inbox']) {
    const client = TableClient.fromConnectionString(connectionString, `TestHub${table}`, {
      allowInsecureConnection: true,
    });
    const rows: unknown[] = [];
    for await (const row of client.listEntities()) rows.push(row);
    expect(rows, table).toEqual([]);
  }
  const blobs =
    BlobServiceClient.fromConnectionString(connectionString).getContainerClient('testhub-largemessages');
  const names: string[] = [];
  for await (const blob of blobs.listBlobsFlat()) names.push(blob.name);
  expect(names).toEqual([]);
}

test('a crash at any one durable step loses nothing', async () => {
  isCounted = (name) => !name.endsWith(':before') && name !== 'turn';
  const stepsOfCleanRun = await countSteps();
  expect([...reached].sort()).toEqual(
    expect.arrayContaining(
      [
        'instance.create',
        'inbox.write',
        'history.write',
        'commit',
        'payload.write',
        'activity.invoke',
        'child.start',
        'parent.notify',
      ]
        .flatMap((step) => [`${step}:before`, `${step}:after`])
        .concat('history.sweep', 'inbox.sweep', 'turn'),
    ),
  );
  for (let step = 1; step <= stepsOfCleanRun; step++) {
    const crashes = [step];
    await runScenario(`crash ${step}`, () => crashes.pop() ?? Infinity);
  }
  await expectEmptyAfterPurge();
}, 120_000);

test('a series of crashes loses nothing', async () => {
  isCounted = () => true;
  let run = 0;
  const series = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 2, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(series, async (crashes) => {
      const left = [...crashes];
      await runScenario(`series ${++run} of ${crashes.join(' ')}`, () => left.pop() ?? Infinity);
    }),
    { numRuns: 12, endOnFailure: true },
  );
  await expectEmptyAfterPurge();
}, 120_000);

async function countSteps(): Promise<number> {
  const budget = 1_000_000;
  const crashes = [budget];
  await runScenario('count', () => crashes.pop() ?? Infinity);
  return budget - stepsToCrash;
}
