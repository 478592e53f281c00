// The timer that looks at what is due: all kinds in one tick, none keeps another waiting, and what an idle one asks is what docs/cost.md
// counts.
import { describe, expect, it } from 'vitest';
import { lookAtDue, shortKinds } from '../../../functions/timer/looks.ts';
import { plan } from '../../../lib/agenda/agenda.ts';
import { idleMinute } from '../../../lib/cost/estimate.ts';
import { LifeboatError } from '../../../lib/errors.ts';
import { agendaKinds } from '../../../lib/protection/item.ts';
import { getItem } from '../../../lib/protection/itemStore.ts';
import { reconcileJobs } from '../../../lib/protection/reconcileJobs.ts';
import type { ReplicationContext } from '../../../lib/replication/context.ts';
import { reconcileDeltas } from '../../../lib/replication/reconcile.ts';
import { memoryStorage } from '../../../lib/storage/memory/index.ts';
import { countedStorage } from '../../../scripts/soak/countedStorage.ts';
import { item, Lifecycle } from '../../support/lifecycle.ts';

const never = new Date(8.64e15);
const orchestrations = { start: async () => undefined, raiseEvent: async () => undefined };
const tickOf = (context: ReplicationContext, stopAt = never) => ({
  ...{ context, orchestrations, resyncsAtOnce: 2, stopAt },
});

describe('lookAtDue', () => {
  it('together with the reconciliation looks at every kind', () => {
    expect([...shortKinds, 'retry'].sort()).toEqual([...agendaKinds].sort());
  });

  it('looks at what is due of every kind, and plans the next look', async () => {
    const { context, clock } = await (await Lifecycle.create()).protect();
    for (const kind of shortKinds) await plan(context, kind, item, clock.now().toISOString());
    expect(await lookAtDue(tickOf(context), shortKinds)).toBe(shortKinds.length);
    const { agenda } = await getItem(context.storage.items, item);
    expect(Date.parse(agenda.health ?? '')).toBeGreaterThan(clock.now().getTime());
    expect(await lookAtDue(tickOf(context), shortKinds)).toBe(0);
  });

  it('leaves to the next tick what it has no time for', async () => {
    const { context, clock } = await (await Lifecycle.create()).protect();
    const at = clock.now().toISOString();
    await plan(context, 'health', item, at);
    expect(await lookAtDue(tickOf(context, clock.now()), ['health'])).toBe(0);
    expect((await getItem(context.storage.items, item)).agenda.health).toBe(at);
    expect(await lookAtDue(tickOf(context), ['health'])).toBe(1);
  });

  it('a kind that cannot be read fails the tick after the others were looked at', async () => {
    const { context, clock } = await (await Lifecycle.create()).protect();
    const { vault } = context.storage;
    for (const kind of shortKinds) await plan(context, kind, item, clock.now().toISOString());
    const broken = {
      ...vault,
      find: vault.find.bind(vault),
      transact: vault.transact.bind(vault),
      list(partition: string, ...rest: [object?]) {
        if (partition === 'agenda:resync') throw new LifeboatError('StorageUnavailable', 'gone');
        return vault.list(partition, ...rest);
      },
    };
    const partly = { ...context, storage: { ...context.storage, vault: broken } };
    await expect(lookAtDue(tickOf(partly), shortKinds)).rejects.toThrow('gone');
    expect(await lookAtDue(tickOf(context), shortKinds)).toBe(1);
  });
});

it('an idle minute asks of the storage what the cost estimate says', async () => {
  const { storage, counts } = countedStorage(memoryStorage());
  const context: ReplicationContext = {
    ...{ storage, clock: { now: () => new Date('2026-01-01T00:00:00Z') }, newId: () => crypto.randomUUID() },
    ...{ fault: () => undefined, log: () => undefined },
  };
  await lookAtDue(tickOf(context), shortKinds);
  await lookAtDue(tickOf(context), ['retry']);
  await reconcileJobs(context, orchestrations);
  await reconcileDeltas(context);
  const asked = (port: string): number =>
    [...counts.calls]
      .filter(([name]) => name.startsWith(`${port}.`))
      .reduce((sum, [, count]) => sum + count, 0);
  expect(counts.listed).toBe(0);
  expect(asked('vault') + asked('jobs') + asked('items')).toBe(idleMinute.tableRequests);
  expect(asked('deltas')).toBe(idleMinute.blobLists);
});
