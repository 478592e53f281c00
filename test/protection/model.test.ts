// Anything may happen, in any order, with deaths in between: calls, events, duplicates, lost and broken logs, failures, pauses,
// cancellations. Whatever state that leads to, every recovery point stays true and there is a way out: a source that does its
// part gets a new recovery point, and disabling ends in nothing left.
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noFaults } from '../../lib/faults/points.ts';
import { isOver } from '../../lib/jobs/job.ts';
import { allowedOperations } from '../../lib/protection/allowed.ts';
import { disableProtection } from '../../lib/protection/disable.ts';
import { growDisk } from '../../lib/protection/disks.ts';
import { cancelJob, restartJob } from '../../lib/protection/jobControl.ts';
import { pauseReplication, resumeReplication } from '../../lib/protection/pause.ts';
import { repairReplication } from '../../lib/protection/resyncRequest.ts';
import { startScrub } from '../../lib/protection/scrub.ts';
import { item, Lifecycle } from '../support/lifecycle.ts';
import { hourMs, minuteMs } from '../support/manualClock.ts';
import { SimulatedDeath } from '../support/deaths.ts';

const actions = [
  'enable',
  'copy',
  'cycle',
  'cycleTwice',
  'loseLog',
  'breakLog',
  'reportTransient',
  'reportFatal',
  'reportTrackingLost',
  'pause',
  'resume',
  'repair',
  'answerResync',
  'scrub',
  'answerScrub',
  'cancel',
  'restart',
  'grow',
  'disable',
  'tick',
  'minutes',
  'night',
  'die',
] as const;
type Action = (typeof actions)[number];

/** What a caller may be told: not now, not here, not any more. Anything else is a defect. */
const refusals = new Set([
  ...['OperationNotSupportedInState', 'ItemBusy', 'ResourceNotFound', 'ConcurrentUpdate', 'ReplicaLeaseLost'],
  ...['DiskNotProtected', 'BlobNotFound', 'PreconditionFailed', 'FenceLost'],
]);

class Model {
  readonly lifecycle: Lifecycle;
  #deathIn = 0;

  constructor(lifecycle: Lifecycle) {
    this.lifecycle = lifecycle;
    lifecycle.fault = () => {
      if (this.#deathIn > 0 && --this.#deathIn === 0) throw new SimulatedDeath();
    };
  }

  async act(action: Action): Promise<void> {
    try {
      await this.#do(action);
    } catch (error) {
      const isDeath = error instanceof SimulatedDeath;
      const code = (error as { code?: string }).code ?? '';
      const text = error instanceof Error ? error.message : '';
      // Through the API a refusal is an answer, and a death an internal error.
      const isAnswered = /: (4\d\d|500) \{|there is no assignment|there is nothing to compare/.test(text);
      if (!isDeath && !refusals.has(code) && !isAnswered) throw error;
    }
  }

  async #do(action: Action): Promise<void> {
    const { lifecycle } = this;
    const { source, context } = lifecycle;
    const { orchestrations } = lifecycle.api.context;
    switch (action) {
      case 'enable':
        await lifecycle.enable();
        return;
      case 'copy':
        return source.copyDisks(lifecycle.clock.now().toISOString());
      case 'cycle':
      case 'cycleTwice':
      case 'loseLog':
      case 'breakLog':
        return this.#send(action);
      case 'reportTransient':
        await source.report('NetworkUnavailable', 'no way');
        return;
      case 'reportFatal':
        await source.report('BrokenVhdChain', 'a parent is missing');
        return;
      case 'reportTrackingLost':
        await source.report('TrackingLost', 'the bitmap is gone', ['os']);
        return;
      case 'pause':
        await pauseReplication(context, item);
        return;
      case 'resume':
        await resumeReplication(context, item);
        return;
      case 'repair':
        await repairReplication(context, orchestrations, item);
        return;
      case 'answerResync':
        await source.resynchronize();
        return;
      case 'scrub':
        await startScrub(context, orchestrations, item);
        return;
      case 'answerScrub':
        return this.#answerScrub();
      case 'cancel': {
        const job = await lifecycle.currentJob();
        if (job) await cancelJob(context, orchestrations, job.id);
        return;
      }
      case 'restart': {
        const failed = (await lifecycle.jobs()).find(
          ({ state }) => state === 'Failed' || state === 'Cancelled',
        );
        if (failed) await restartJob(context, orchestrations, failed.id);
        return;
      }
      case 'grow': {
        const before = source.disks.get('data')!.length;
        await growDisk(context, item, 'data', before + 512);
        source.resize('data', before + 512);
        return lifecycle.reportInventory();
      }
      case 'disable':
        await disableProtection(context, orchestrations, { item, isSourceGone: true });
        return;
      case 'tick':
        return lifecycle.settle();
      case 'minutes':
        return lifecycle.pass(12 * minuteMs, 4 * minuteMs);
      case 'night':
        return lifecycle.pass(14 * hourMs, 2 * hourMs);
      case 'die':
        // At one of the next places that have a name.
        this.#deathIn = 1 + source.random(12);
    }
  }

  /** Cycles as they should not be sent. A source that compares sends none. */
  async #send(action: 'cycle' | 'cycleTwice' | 'loseLog' | 'breakLog'): Promise<void> {
    const { source } = this.lifecycle;
    const assignment = await source.assignment();
    if (assignment.resync) return;
    if (assignment.nextCycle <= source.lastCut) return this.#reportLoss();
    const logs = source.cutCycle(assignment, assignment.nextCycle, 2);
    if (action === 'loseLog') return source.send(...source.lose(logs, 'os'));
    if (action === 'breakLog')
      return source.send(...logs.map((log) => ({ ...log, bytes: log.bytes.slice(0, -1) })));
    await source.send(...logs);
    if (action === 'cycleTwice') await source.send(...logs);
  }

  async #reportLoss(): Promise<void> {
    const { source } = this.lifecycle;
    await source.report('TrackingLost', 'a log is lost', [...source.disks.keys()]);
  }

  async #answerScrub(): Promise<void> {
    const { source } = this.lifecycle;
    const assignment = await source.assignment();
    if (!assignment.scrub || assignment.resync) return;
    if (assignment.nextCycle <= source.lastCut) return this.#reportLoss();
    await source.scrubCycle();
  }

  /** A source and an administrator that do their part, without deaths, for a while. */
  async recover(): Promise<void> {
    const { lifecycle } = this;
    const { source } = lifecycle;
    lifecycle.fault = noFaults;
    this.#deathIn = 0;
    for (let round = 0; round < 40; round++) {
      const record = await lifecycle.find();
      const isHalfEnabled = record?.state === 'EnablingProtection' && record.currentJob === null;
      if (!record || isHalfEnabled || record.state === 'EnablingFailed') await lifecycle.enable();
      else if (record.state === 'InitialReplicationFailed') await lifecycle.enable();
      else if (record.state === 'InitialReplicationInProgress') await this.act('copy');
      else if (record.state === 'Protected') {
        await resumeReplication(lifecycle.context, item);
        // What was cut is asked for again: it was lost or refused, and its changes are not tracked any more.
        if (!record.resync && (await source.assignment()).nextCycle <= source.lastCut)
          await this.#reportLoss();
        if (record.resync?.phase === 'comparing') await source.resynchronize();
        else if (record.scrub?.cycle === null) await this.#answerScrub();
        else if (record.disks.some(({ resync }) => resync !== null)) await this.act('repair');
        else if (record.currentJob === null && (await this.isIdle())) return;
      }
      await lifecycle.pass(2 * minuteMs);
    }
    const record = await lifecycle.find();
    const jobs = (await lifecycle.jobs()).map(({ kind, state }) => `${kind} ${state}`);
    throw new Error(`no way out: ${JSON.stringify({ record, jobs, logged: lifecycle.logged.slice(-5) })}`);
  }

  /** Nothing waits, and what was applied last is what the source sent last; else the source asks for a resynchronization. */
  async isIdle(): Promise<boolean> {
    const { source, storage } = this.lifecycle;
    await this.lifecycle.settle();
    let isBehind = !source.agreesWith(await source.assignment());
    for await (const blob of storage.deltas.list('')) isBehind ||= blob.name !== '';
    if (isBehind) await this.#reportLoss();
    return !isBehind;
  }
}

describe('the protection lifecycle, whatever happens', { timeout: 240_000 }, () => {
  it('keeps every recovery point true, and has a way out of every state', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...actions), { minLength: 4, maxLength: 24 }),
        fc.integer({ min: 1, max: 1000 }),
        fc.boolean(),
        async (sequence, seed, beginsProtected) => {
          await nextTurn();
          const lifecycle = await Lifecycle.create({ seed, sizes: { os: 512 * 1024, data: 300 * 512 } });
          if (beginsProtected) await lifecycle.protect();
          const model = new Model(lifecycle);
          for (const action of sequence) {
            await model.act(action);
            const record = await lifecycle.find();
            if (record) expect(allowedOperations(record)).toContain('DisableProtection');
          }
          await model.recover();
          await lifecycle.verifiedCycles();
          const sent = await lifecycle.source.cycle();
          await lifecycle.pass(2 * minuteMs);
          expect((await lifecycle.verifiedCycles()).at(-1)).toBe(sent);
          await disableProtection(lifecycle.context, lifecycle.api.context.orchestrations, {
            item,
            isSourceGone: true,
          });
          await lifecycle.pass(2 * minuteMs);
          expect(await lifecycle.find()).toBeUndefined();
          expect((await lifecycle.jobs()).filter((job) => !isOver(job))).toEqual([]);
        },
      ),
      {
        numRuns: 40,
        examples: [
          // Disabling dies when the item is gone, and goes on when there is a new one.
          [['die', 'reportTransient', 'reportFatal', 'enable', 'disable', 'enable', 'enable'], 6, true],
        ],
      },
    );
  });
});
