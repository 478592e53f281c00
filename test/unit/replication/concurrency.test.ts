// Two workers on one item: triggers that find the lock taken, and a lock that was lost while its holder still works.
import { describe, expect, it } from 'vitest';
import { LifeboatError } from '../../../lib/errors.ts';
import { buildHrl } from '../../../lib/hrl/writer.ts';
import { mergeMemory } from '../../../lib/merge/byteBudget.ts';
import { drainItem } from '../../../lib/replication/drain.ts';
import type { Lock, LockPort, PageBlobPort, Storage } from '../../../lib/storage/ports.ts';
import { ProtectedVm, logTime } from '../../support/protectedVm.ts';

interface Gate {
  /** Resolves when somebody stands before the gate. */
  reached: Promise<void>;
  open: () => void;
  pass: () => Promise<void>;
}

function gate(): Gate {
  let arrive = (): void => undefined;
  let open = (): void => undefined;
  const reached = new Promise<void>((resolve) => (arrive = resolve));
  const opened = new Promise<void>((resolve) => (open = resolve));
  return {
    reached,
    open: () => open(),
    pass: async () => {
      arrive();
      await opened;
    },
  };
}

/** The storage as a worker sees it whose lock was given to somebody else without its noticing, held at one call. */
function unlocked(
  storage: Storage,
  call: 'snapshot' | 'writePages' | 'raiseSequenceNumber',
  { pass }: Gate,
): Storage {
  const never: Lock = { lost: new AbortController().signal, release: async () => undefined };
  const locks: LockPort = { tryAcquire: async () => never };
  const replicas = new Proxy(storage.replicas, {
    get(target, property: keyof PageBlobPort) {
      const method = (target[property] as (...args: unknown[]) => Promise<unknown>).bind(target);
      return property === call ? async (...args: unknown[]) => pass().then(() => method(...args)) : method;
    },
  });
  return { ...storage, locks, replicas };
}

describe('two workers on one item', () => {
  it('records nothing from an attempt after a newer one has claimed the cycle', async () => {
    const vm = await new ProtectedVm({ diskSizes: [2 ** 20] }).protect();
    await vm.upload(...vm.cutCycle());
    const [beforeSnapshot, beforeWrite] = [gate(), gate()];
    const older = drainItem(
      { ...vm.context, storage: unlocked(vm.storage, 'snapshot', beforeSnapshot) },
      vm.item,
    );
    await beforeSnapshot.reached;
    const newer = drainItem(
      { ...vm.context, storage: unlocked(vm.storage, 'writePages', beforeWrite) },
      vm.item,
    );
    await beforeWrite.reached;
    beforeSnapshot.open();
    await expect(older).rejects.toMatchObject({ code: 'FenceLost' });
    expect(await vm.points()).toEqual([]);
    beforeWrite.open();
    expect((await newer).appliedCycles).toEqual([1]);
    expect(await vm.verifiedCycles()).toEqual([1]);
  });

  it('sees a log whose trigger came while it held the lock', async () => {
    const vm = await new ProtectedVm().protect();
    await vm.upload(...vm.cutCycle());
    let busy: string | undefined;
    const locks: LockPort = {
      async tryAcquire(name) {
        const lock = await vm.storage.locks.tryAcquire(name);
        return lock && { lost: lock.lost, release: () => beforeRelease(lock) };
      },
    };
    const beforeRelease = async (lock: Lock): Promise<void> => {
      if (busy === undefined) {
        // The drain has seen that nothing is left; now a log and its trigger arrive.
        await vm.upload(...vm.cutCycle());
        busy = (await drainItem(vm.context, vm.item)).outcome;
      }
      await lock.release();
    };
    await drainItem({ ...vm.context, storage: { ...vm.storage, locks } }, vm.item);
    expect(busy).toBe('busy');
    expect(await vm.verifiedCycles()).toEqual([1, 2]);
  });

  it('applies only the version of a log that was checked', async () => {
    const vm = await new ProtectedVm({ diskSizes: [2 ** 20] }).protect();
    const [log] = vm.cutCycle();
    const other = buildHrl([{ diskOffset: 0, data: new Uint8Array(8192).fill(7) }], {
      uniqueId: crypto.randomUUID(),
      createdAt: logTime,
    });
    await vm.storage.deltas.put(log!.name, other);
    const beforeMerge = gate();
    const storage = unlocked(vm.storage, 'raiseSequenceNumber', beforeMerge);
    const draining = drainItem({ ...vm.context, storage }, vm.item);
    await beforeMerge.reached;
    await vm.upload(log!);
    beforeMerge.open();
    await expect(draining).rejects.toMatchObject({ code: 'LogChanged' });
    expect(await vm.points()).toEqual([]);
    await drainItem(vm.context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1]);
  });

  it('applies a log that nobody can read any more after its check, from what the check kept', async () => {
    const vm = await new ProtectedVm().protect();
    await vm.upload(...vm.cutCycle());
    let isChecked = false;
    const { deltas } = vm.storage;
    const read: typeof deltas.read = async (name, range, etag) => {
      if (isChecked && range.lengthBytes > 0)
        throw new LifeboatError('StorageUnavailable', `${name} is not read twice`);
      return deltas.read(name, range, etag);
    };
    const fault = (point: string): void => {
      if (point === 'drain.afterCheck') isChecked = true;
    };
    const storage = { ...vm.storage, deltas: { ...deltas, read } };
    await drainItem({ ...vm.context, storage, fault, verify: 'readback' }, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1]);
    expect(mergeMemory.takenBytes).toBe(0);
  });
});
