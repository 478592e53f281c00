// The agent's part in a moment of a consistency group, with a service that keeps the barrier or does what it likes: what the logs
// of a cycle are labelled with, and that a cycle is cut whatever happens.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cutCycle } from '../../../agent/daemon/cutCycle.ts';
import { parseConfig } from '../../../agent/daemon/config.ts';
import { alignedMs, gatherMoment } from '../../../agent/daemon/groupMoment.ts';
import type { ItemContext } from '../../../agent/daemon/itemContext.ts';
import { ItemStateFile } from '../../../agent/daemon/itemState.ts';
import { Spool } from '../../../agent/daemon/spool.ts';
import type { Assignment, MomentAnswer, MomentReport } from '../../../agent/serviceClient.ts';
import { HeldWrites } from '../../../agent/track/program/holdProgram.ts';
import { programViews } from '../../../agent/track/program/views.ts';
import { ProgramTracker } from '../../../agent/track/program/tracker.ts';
import { ScanTracker } from '../../../agent/track/scan/tracker.ts';
import type { ChangeTracker } from '../../../agent/track/tracker.ts';
import { logMetadata } from '../../../agent/upload/logStatement.ts';
import { afterReport, answerTo, openBarrier, type Barrier } from '../../../lib/moments/barrier.ts';

const diskBytes = 64 * 1024;
const support = join(import.meta.dirname, '..', '..', 'support');
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'moments-'));
});
afterEach(() => rm(folder, { recursive: true }));

type Answering = (item: string, report: MomentReport) => Promise<MomentAnswer>;

/** The service's barrier over these machines. */
function barrierService(members: readonly string[]): Answering & { barrier: Barrier } {
  const now = new Date();
  const answer = (item: string, said: MomentReport): Promise<MomentAnswer> => {
    const report = { item, ...said };
    service.barrier = afterReport(service.barrier, report, now);
    return Promise.resolve(answerTo(service.barrier, report));
  };
  const service = Object.assign(answer, { barrier: openBarrier(crypto.randomUUID(), members, null, now) });
  return service;
}

function trackerOf(item: string, fault = ''): ChangeTracker {
  const program = (file: string) => ({
    command: [
      'env',
      `LIFEBOAT_TEST_STATE=${join(folder, `${item}-states`)}`,
      `LIFEBOAT_TEST_HOLD=${join(folder, `${item}-hold`)}`,
      ...(file === 'holdProgram.mjs' ? [`LIFEBOAT_TEST_FAULT=${fault}`] : []),
      process.execPath,
      join(support, file),
    ],
    timeoutSeconds: 60,
  });
  return new ProgramTracker({
    ...{ machine: item, disks: [{ disk: 'os', location: join(folder, `${item}.raw`) }] },
    ...program('freezeProgram.mjs'),
    // A test that waits for its end waits less.
    hold: { ...program('holdProgram.mjs'), timeoutSeconds: fault === 'deaf' ? 1 : 60 },
  });
}

const assignmentOf = (item: string): Assignment =>
  ({
    ...{ item, phase: 'deltas', appliedCycle: 0, nextCycle: 1, resync: null },
    policy: { replicationIntervalSeconds: 30, consistencyGroup: true },
    disks: [
      {
        ...{ disk: 'os', name: 'os', sizeBytes: diskBytes, joinedAtCycle: 0 },
        initialReplication: { state: 'complete' },
        delta: { previousUniqueId: null, metadata: {} },
      },
    ],
  }) as unknown as Assignment;

/** The item of a process that has just started. */
async function contextOf(item: string, answering: Answering, tracker = trackerOf(item)) {
  await writeFile(join(folder, `${item}.raw`), Buffer.alloc(diskBytes, item));
  const said: string[] = [];
  const context = {
    ...{ item, tracker, open: undefined, signal: new AbortController().signal },
    client: { reportMoment: answering },
    state: await ItemStateFile.open(folder, item),
    spool: new Spool(join(folder, 'spool'), 1e9),
    log: (text: string) => void said.push(text),
    report: () => undefined,
  } as unknown as ItemContext;
  return { context, said };
}

/** One cycle with the moment that comes about, if one does; what its logs will say, as a process after a crash finds it. */
async function cycleOf({ context }: Awaited<ReturnType<typeof contextOf>>, intervalMs = 4000) {
  const assignment = assignmentOf(context.item);
  const moment = await gatherMoment(context, assignment, intervalMs);
  await cutCycle(context, assignment, moment);
  await context.tracker.close();
  const { pending } = (await ItemStateFile.open(folder, context.item)).current;
  expect(pending?.logs).toHaveLength(1);
  return logMetadata({ sha256: '', ...pending, takenAt: undefined })['moment'];
}

describe('a cycle of a consistency group', () => {
  it('names the moment that all machines were held at, durably', async () => {
    const service = barrierService(['a', 'b']);
    const heldAtCut: boolean[] = [];
    const watching: Answering = async (item, report) => {
      const before = service.barrier.phase;
      const answer = await service(item, report);
      if (before === 'freezing' && service.barrier.phase === 'cut')
        for (const each of ['a', 'b']) heldAtCut.push(existsSync(join(folder, `${each}-hold`)));
      return answer;
    };
    const parts = [await contextOf('a', watching), await contextOf('b', watching)];
    const moments = await Promise.all(parts.map((part) => cycleOf(part)));
    expect(moments).toEqual([service.barrier.id, service.barrier.id]);
    expect(heldAtCut).toEqual([true, true]);
    for (const each of ['a', 'b']) expect(existsSync(join(folder, `${each}-hold`))).toBe(false);
  });

  it.each<[string, Answering, RegExp]>([
    ['another machine is away', barrierService(['a', 'away']), /not all machines were ready/],
    ['the service fails', () => Promise.reject(new Error('it is down')), /it is down/],
    ['the service does not answer', () => new Promise(() => undefined), /^$/],
    ['it is alone', () => Promise.resolve({ id: null, phase: 'alone' }), /^$/],
  ])('is an ordinary one when %s', async (_, answering, message) => {
    const part = await contextOf('a', answering);
    expect(await cycleOf(part, 800)).toBeUndefined();
    expect(part.said.filter((text) => text.includes('moment')).join()).toMatch(message);
  });

  it('is an ordinary one when the others do not freeze, and the writes go on before it is frozen', async () => {
    const id = crypto.randomUUID();
    let asked = 0;
    const part = await contextOf('a', (_, { state }) =>
      Promise.resolve({ id, phase: state === 'ready' || ++asked < 3 ? 'freezing' : 'failed' }),
    );
    expect(await cycleOf(part)).toBeUndefined();
    expect(asked).toBe(3);
    expect(existsSync(join(folder, 'a-hold'))).toBe(false);
  });

  it.each([
    ['refuse', /the guest does not answer/],
    ['early', /ended/],
    ['deaf', /was killed|did not hold in time/],
  ])('does not name a moment that its writes were not held in: %s', async (fault, message) => {
    const id = crypto.randomUUID();
    const part = await contextOf(
      'a',
      async (_, { state }) => {
        if (state === 'frozen' && fault === 'early')
          await expect.poll(() => existsSync(join(folder, 'a-hold'))).toBe(false);
        return { id, phase: state === 'ready' ? 'freezing' : 'cut' };
      },
      trackerOf('a', fault),
    );
    expect(await cycleOf(part)).toBeUndefined();
    expect(part.said.join()).toMatch(message);
  });

  it('of a process that has died in a moment makes that fail for all, and does not name it', async () => {
    const service = barrierService(['a', 'b']);
    const attempt = 'b1';
    await service('b', { attempt, state: 'ready' });
    const { id } = service.barrier;
    const dying: Answering = async (item, report) => {
      await service(item, report);
      if (report.state === 'frozen') throw new Error('the line is cut');
      return service(item, report);
    };
    expect(await cycleOf(await contextOf('a', dying))).toBeUndefined();
    expect(service.barrier).toMatchObject({ phase: 'freezing', members: { a: { state: 'frozen' } } });
    expect(await cycleOf(await contextOf('a', service))).toBeUndefined();
    expect((await service('b', { attempt, state: 'frozen', id })).phase).toBe('failed');
  });

  it('is not asked for by a machine whose writes cannot be held, which says so once', async () => {
    let asked = 0;
    const part = await contextOf('a', () => Promise.reject(new Error(`asked ${++asked} times`)));
    const places = [{ disk: 'os', location: join(folder, 'a.raw') }];
    const views = programViews({ machine: 'a', disks: places, command: ['true'] });
    const cannot = { ...part.context, tracker: new ScanTracker({ folder, views }) };
    for (const context of [cannot, cannot])
      expect(await gatherMoment(context, assignmentOf('a'), 4000)).toBeUndefined();
    expect(asked).toBe(0);
    expect(part.said).toHaveLength(1);
    expect(part.said[0]).toMatch(/cannot be held/);
    const logFolders = { folders: new Map(), keepShipped: false, hasImages: false };
    expect(await gatherMoment({ ...part.context, logFolders }, assignmentOf('a'), 4000)).toBeUndefined();
    expect(asked).toBe(0);
  });
});

it('a program holds until its input ends, and when the agent dies', async () => {
  const path = join(folder, 'hold');
  const command = ['env', `LIFEBOAT_TEST_HOLD=${path}`, process.execPath, join(support, 'holdProgram.mjs')];
  const held = await HeldWrites.begin({ command }, {});
  expect(held.problem).toBeUndefined();
  expect(existsSync(path)).toBe(true);
  expect(await held.end()).toBeNull();
  expect(existsSync(path)).toBe(false);
  const missing = await HeldWrites.begin({ command: [join(folder, 'missing')] }, {});
  expect(await missing.end()).toMatch(/cannot be started: ENOENT/);
});

it('machines with one interval are due together, and never later than an interval after the last cycle', () => {
  const at = fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 });
  const interval = fc.integer({ min: 1000, max: 3_600_000 });
  fc.assert(
    fc.property(at, interval, fc.nat(), (frozenMs, intervalMs, skew) => {
      const dueMs = alignedMs(frozenMs, intervalMs);
      expect(dueMs).toBeGreaterThan(frozenMs);
      expect(dueMs - frozenMs).toBeLessThanOrEqual(intervalMs);
      const otherMs = frozenMs + (skew % (dueMs - frozenMs));
      expect(alignedMs(otherMs, intervalMs)).toBe(dueMs);
    }),
  );
});

it('agent.yaml takes a program that holds only where a program freezes', async () => {
  const text = (tracker: string): string => `service: { url: "https://lifeboat.example" }
site: site1
stateFolder: state
machines: [{ id: vm-1, tracker: ${tracker}, hold: { command: [hold] }, disks: [{ id: os, path: a, device: b, logs: c }] }]
`;
  for (const tracker of ['{ kind: program, command: [p] }', '{ kind: scan, view: { command: [p] } }'])
    expect((await parseConfig(text(tracker), 'agent.yaml')).machines[0]?.hold?.command).toEqual(['hold']);
  for (const tracker of ['{ kind: scan }', '{ kind: qemu, qmpSocket: q }', '{ kind: hrlFolder }'])
    await expect(parseConfig(text(tracker), 'agent.yaml')).rejects.toThrow(/machines\.0\.hold/);
});
