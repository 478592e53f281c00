// A day and a night of a protected machine on a clock of the demo's own: an outage of the storage with its retries, a log that is
// lost for good, the resynchronization in the night's window, and a comparison of a recovery point with its source. The same
// product code as in the service, on storage in memory, because nobody waits until 18:30 for a demonstration.
import { LifeboatError } from '../../lib/errors.ts';
import { startScrub } from '../../lib/protection/scrub.ts';
import type { Storage } from '../../lib/storage/ports.ts';
import { item, Lifecycle } from '../../test/support/lifecycle.ts';
import { hourMs, minuteMs } from '../../test/support/manualClock.ts';
import type { Narrator } from './narrator.ts';

const clockText = (iso: string): string => iso.slice(11, 16);

/** Storage whose pages cannot be written while `isOn`. */
function outage(): { isOn: boolean; wrap: (storage: Storage) => Storage } {
  const state = {
    isOn: false,
    wrap: (storage: Storage): Storage => ({
      ...storage,
      replicas: {
        ...storage.replicas,
        writePages: async (...args) => {
          if (state.isOn) throw new LifeboatError('StorageUnavailable', 'The account does not answer.');
          return storage.replicas.writePages(...args);
        },
      },
    }),
  };
  return state;
}

async function showRetries(narrator: Narrator, life: Lifecycle, storage: { isOn: boolean }): Promise<void> {
  storage.isOn = true;
  await life.source.cycle();
  const attempts = new Set<string>();
  for (let minute = 0; minute < 45; minute++) {
    await life.pass(minuteMs);
    const { retry } = await life.record();
    if (retry) attempts.add(clockText(retry.lastFailedAt));
  }
  const { retry } = await life.record();
  narrator.note(`the account is away; tried at ${[...attempts].join(', ')}`);
  narrator.note(`next attempt at ${clockText(retry?.nextAttemptAt ?? '')}; health says why`);
  storage.isOn = false;
  await life.pass(hourMs / 2);
  narrator.note(`the account is back: cycle ${(await life.record()).appliedCycle} is a recovery point`);
}

async function showResync(narrator: Narrator, life: Lifecycle): Promise<void> {
  const { source } = life;
  const assignment = await source.assignment();
  source.cutCycle(assignment);
  const orphan = source.cutCycle(assignment, assignment.nextCycle);
  await source.send(...orphan);
  await life.settle();
  const marked = await life.record();
  narrator.note(
    `${clockText(life.clock.now().toISOString())}: a log is lost for good; the next one names it as its predecessor`,
  );
  narrator.note(
    `marked (${marked.disks[0]?.resync?.reason ?? 'not'}); planned for ${clockText(marked.agenda.resync ?? '')}`,
  );
  for (let step = 0; step < 24; step++) {
    await life.pass(hourMs / 2, 10 * minuteMs);
    const { resync } = await life.record();
    if (resync?.phase !== 'comparing') continue;
    narrator.note(
      `${clockText(life.clock.now().toISOString())}: the window is open; the source compares digests`,
    );
    await source.resynchronize();
    await life.pass(5 * minuteMs);
    break;
  }
  const job = (await life.jobs()).find(({ kind }) => kind === 'resynchronize');
  const { comparedBytes = 0, shippedBytes = 0 } = (job?.result ?? {}) as Record<string, number>;
  narrator.note(`resynchronized: ${comparedBytes} bytes compared, ${shippedBytes} shipped`);
}

async function showScrub(narrator: Narrator, life: Lifecycle): Promise<void> {
  await startScrub(life.context, life.api.context.orchestrations, item);
  await life.pass(minuteMs);
  const cycle = await life.source.scrubCycle();
  await life.pass(5 * minuteMs);
  const point = (await life.points()).find((each) => each.cycle === cycle);
  const verdicts = Object.entries(point?.scrub ?? {});
  if (verdicts.length === 0) throw new Error('the comparison left no verdict on the recovery point');
  for (const [disk, { verdict, rootDigest }] of verdicts)
    narrator.note(`cycle ${cycle}, ${disk}: ${verdict}, root digest ${rootDigest.slice(0, 16)}…`);
  if (verdicts.some(([, { verdict }]) => verdict !== 'equal')) throw new Error('the recovery point differs');
}

/** Returns true when every recovery point of that day equals its source. */
export async function showNight(narrator: Narrator): Promise<boolean> {
  const storage = outage();
  const life = await Lifecycle.create({
    start: '2026-03-25T12:00:00.000Z',
    policy: { resyncWindow: { start: '18:30', end: '06:00', timeZone: 'UTC', pauseAtEnd: true } },
    wrap: storage.wrap,
  });
  await narrator.step('On a fast clock: protect a machine, and take the storage away', async () => {
    await life.protect();
    await showRetries(narrator, life, storage);
  });
  await narrator.step('Lose a log by day; resynchronize at night', () => showResync(narrator, life));
  await narrator.step('Compare a recovery point with its source', () => showScrub(narrator, life));
  const cycles = await life.verifiedCycles();
  narrator.note(`recovery points of cycles ${cycles.join(', ')}: every byte equals the source`);
  return cycles.length > 0;
}
