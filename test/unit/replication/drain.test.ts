import { describe, expect, it } from 'vitest';
import { buildHrl } from '../../../lib/hrl/writer.ts';
import { drainItem } from '../../../lib/replication/drain.ts';
import { reconcileDeltas } from '../../../lib/replication/reconcile.ts';
import { completeInitialReplication } from '../../../lib/replication/replicas.ts';
import { replicaName } from '../../../lib/replication/names.ts';
import { ProtectedVm, logTime } from '../../support/protectedVm.ts';

const shuffled = <T>(values: readonly T[], random: (below: number) => number): T[] =>
  values
    .map((value) => ({ value, key: random(1_000_000) }))
    .sort((a, b) => a.key - b.key)
    .map(({ value }) => value);

const codes = async (vm: ProtectedVm): Promise<string[]> =>
  (await vm.record()).healthErrors.map(({ code }) => code);

describe('draining an item', () => {
  it('applies cycles in order, whatever order the logs arrive in, and records each as a recovery point', async () => {
    const vm = await new ProtectedVm({ seed: 7 }).protect();
    const logs = shuffled([vm.cutCycle(), vm.cutCycle(), vm.cutCycle(), vm.cutCycle()].flat(), vm.random);
    for (const log of logs) {
      await vm.upload(log);
      await drainItem(vm.context, vm.item);
    }
    expect(await vm.verifiedCycles()).toEqual([1, 2, 3, 4]);
    expect(await vm.pendingNames()).toEqual([]);
    expect((await vm.record()).healthErrors).toEqual([]);
  });

  it('records the moment and the consistency that the logs state', async () => {
    const vm = await new ProtectedVm().protect();
    const logs = vm
      .cutCycle()
      .map((log) => ({ ...log, metadata: { ...log.metadata, consistency: 'application' } }));
    await vm.upload(...logs);
    await drainItem(vm.context, vm.item);
    expect(await vm.points()).toMatchObject([
      { takenAt: '2026-01-01T00:01:00.000Z', takenAtFrom: 'source', consistency: 'application' },
    ]);
  });

  it('says that the moment is only that of the upload when no log states one', async () => {
    const vm = await new ProtectedVm().protect();
    await vm.upload(...vm.cutCycle().map((log) => ({ ...log, metadata: {} })));
    await drainItem(vm.context, vm.item);
    expect(await vm.points()).toMatchObject([{ takenAtFrom: 'upload', consistency: 'crash' }]);
  });

  it('keeps logs that arrive during initial replication and applies them when it ends', async () => {
    const vm = new ProtectedVm();
    await vm.startInitialReplication();
    await vm.uploadCopies();
    await vm.upload(...vm.cutCycle());
    expect((await drainItem(vm.context, vm.item)).outcome).toBe('notReady');
    await vm.complete();
    expect((await drainItem(vm.context, vm.item)).appliedCycles).toEqual([1]);
    expect(await vm.verifiedCycles()).toEqual([1]);
  });

  it('waits for a missing cycle and says which logs it waits for', async () => {
    const vm = await new ProtectedVm({ diskSizes: [4 * 2 ** 20, 4 * 2 ** 20] }).protect();
    const first = vm.cutCycle();
    const second = vm.cutCycle();
    await vm.upload(...second);
    expect((await drainItem(vm.context, vm.item)).outcome).toBe('waiting');
    expect((await vm.record()).healthErrors).toMatchObject([
      {
        code: 'LogsMissing',
        level: 'Warning',
        message: expect.stringContaining('vm-1/000000000001/disk0.hrl') as string,
      },
    ]);
    expect(await vm.points()).toEqual([]);
    await vm.upload(...first);
    await drainItem(vm.context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1, 2]);
    expect(await codes(vm)).toEqual([]);
  });

  it('waits until every disk has its log', async () => {
    const vm = await new ProtectedVm().protect();
    const [one, two] = vm.cutCycle();
    await vm.upload(one!);
    expect((await drainItem(vm.context, vm.item)).outcome).toBe('waiting');
    expect(await vm.points()).toEqual([]);
    expect(await codes(vm)).toEqual([]);
    await vm.upload(two!);
    await drainItem(vm.context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1]);
  });

  it('ignores the same log again, before and after its cycle is applied', async () => {
    const vm = await new ProtectedVm().protect();
    const logs = vm.cutCycle();
    await vm.upload(...logs, ...logs);
    await drainItem(vm.context, vm.item);
    await vm.upload(...logs);
    await drainItem(vm.context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1]);
    expect(await vm.pendingNames()).toEqual([]);
    expect(await codes(vm)).toEqual([]);
  });

  it('refuses a different log under the name of an applied one', async () => {
    const vm = await new ProtectedVm().protect();
    const logs = vm.cutCycle();
    await vm.upload(...logs);
    await drainItem(vm.context, vm.item);
    const other = buildHrl([{ diskOffset: 0, data: new Uint8Array(512).fill(9) }], {
      createdAt: logTime,
      uniqueId: crypto.randomUUID(),
    });
    await vm.storage.deltas.put(logs[0]!.name, other);
    await drainItem(vm.context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1]);
    expect(await codes(vm)).toEqual(['LogConflict']);
    expect((await vm.storage.quarantine.find(logs[0]!.name))?.metadata).toMatchObject({
      reason: 'LogConflict',
    });
    await vm.upload(...vm.cutCycle());
    await drainItem(vm.context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1, 2]);
    expect(await codes(vm)).toEqual([]);
  });

  it('refuses a corrupt log whole, keeps it in quarantine, and goes on when a correct one arrives', async () => {
    const vm = await new ProtectedVm().protect();
    const logs = vm.cutCycle();
    const broken = logs[1]!.bytes.slice();
    broken[broken.length - 100] = broken[broken.length - 100]! ^ 1;
    await vm.upload(logs[0]!, { ...logs[1]!, bytes: broken });
    const before = await vm.storage.replicas.read(replicaName(vm.item, 'disk0'), {
      offsetBytes: 0,
      lengthBytes: 2 ** 20,
    });
    expect((await drainItem(vm.context, vm.item)).outcome).toBe('refused');
    const after = await vm.storage.replicas.read(replicaName(vm.item, 'disk0'), {
      offsetBytes: 0,
      lengthBytes: 2 ** 20,
    });
    expect(Buffer.from(after).equals(before)).toBe(true);
    expect(await vm.points()).toEqual([]);
    expect(await vm.pendingNames()).toEqual([logs[0]!.name]);
    expect((await vm.storage.quarantine.find(logs[1]!.name))?.metadata['reason']).toMatch(/^Log/);
    expect((await vm.record()).healthErrors).toMatchObject([{ level: 'Critical', subject: logs[1]!.name }]);
    await vm.upload(logs[1]!);
    await drainItem(vm.context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1]);
    expect(await codes(vm)).toEqual([]);
  });

  it.each([['a digest that is not the file', { sha256: '0'.repeat(64) }, 'LogDigestMismatch']])(
    'refuses a log with %s',
    async (_what, metadata, code) => {
      const vm = await new ProtectedVm({ diskSizes: [2 ** 20] }).protect();
      await vm.upload(...vm.cutCycle().map((log) => ({ ...log, metadata })));
      await drainItem(vm.context, vm.item);
      expect(await codes(vm)).toEqual([code]);
      expect(await vm.points()).toEqual([]);
    },
  );

  it('refuses a log that writes past the disk, and one that does not follow the last applied log, or is that log itself', async () => {
    const vm = await new ProtectedVm({ diskSizes: [2 ** 20] }).protect();
    const [first] = vm.cutCycle();
    const beyond = buildHrl([{ diskOffset: 2 ** 20, data: new Uint8Array(512) }], {
      createdAt: logTime,
      uniqueId: crypto.randomUUID(),
    });
    await vm.storage.deltas.put(first!.name, beyond);
    await drainItem(vm.context, vm.item);
    expect(await codes(vm)).toEqual(['LogEntryOutOfBounds']);
    await vm.upload(first!);
    await drainItem(vm.context, vm.item);
    const [second] = vm.cutCycle();
    const stranger = buildHrl([], {
      createdAt: logTime,
      uniqueId: crypto.randomUUID(),
      previousUniqueId: crypto.randomUUID(),
    });
    await vm.storage.deltas.put(second!.name, stranger);
    await drainItem(vm.context, vm.item);
    expect(await codes(vm)).toEqual(['ResyncRequired', 'LogChainBroken']);
    await vm.storage.deltas.put(second!.name, first!.bytes);
    await drainItem(vm.context, vm.item);
    expect((await vm.record()).appliedCycle).toBe(1);
    await vm.upload(second!);
    await drainItem(vm.context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1, 2]);
  });

  it('refuses names that are no logs of the item', async () => {
    const vm = await new ProtectedVm().protect();
    const names = [
      'vm-1/1/disk0.hrl',
      'vm-1/000000000001/other.hrl',
      'vm-1/000000000000/disk0.hrl',
      'vm-1/readme.txt',
    ];
    for (const name of names) await vm.storage.deltas.put(name, new Uint8Array(10));
    await vm.upload(...vm.cutCycle());
    await drainItem(vm.context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1]);
    expect(await vm.pendingNames()).toEqual([]);
    for (const name of names)
      expect((await vm.storage.quarantine.find(name))?.metadata['reason']).toBe('LogUnexpected');
  });

  it('records the initial copy as point 0 only when the source vouches for one moment of all disks', async () => {
    const moment = '2026-01-01T00:00:30.000Z';
    const vouched = await new ProtectedVm({ item: 'vm-a' }).protect({ pointInTime: moment });
    await drainItem(vouched.context, vouched.item);
    expect(await vouched.points()).toMatchObject([{ cycle: 0, takenAt: moment, takenAtFrom: 'source' }]);
    expect(await vouched.verifiedCycles()).toEqual([0]);
    const mixed = new ProtectedVm({ item: 'vm-b' });
    await mixed.startInitialReplication();
    await mixed.uploadCopies();
    await completeInitialReplication(mixed.context, mixed.item, 'disk0', { pointInTime: moment });
    await completeInitialReplication(mixed.context, mixed.item, 'disk1', {});
    await drainItem(mixed.context, mixed.item);
    expect(await mixed.points()).toEqual([]);
  });

  it('records no recovery point before the cycle from which a live copy is consistent', async () => {
    const vm = await new ProtectedVm().protect({ consistentFromCycle: 3 });
    for (let cycle = 1; cycle <= 4; cycle++) await vm.upload(...vm.cutCycle());
    await drainItem(vm.context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([3, 4]);
    expect((await vm.record()).appliedCycle).toBe(4);
  });

  it('keeps leftover upload rights from writing after initial replication', async () => {
    const vm = await new ProtectedVm().protect();
    const write = vm.storage.replicas.writePages(
      replicaName(vm.item, 'disk0'),
      0,
      new Uint8Array(512).fill(1),
    );
    await expect(write).rejects.toMatchObject({ code: 'ReplicaLeaseLost' });
  });

  it('lets many workers drain one item at once', async () => {
    const vm = await new ProtectedVm().protect();
    for (let cycle = 1; cycle <= 6; cycle++) await vm.upload(...vm.cutCycle());
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => drainItem(vm.context, vm.item)));
    expect(outcomes.flatMap(({ appliedCycles }) => appliedCycles)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(await vm.verifiedCycles()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('asks for a resynchronization when the storage went back in time, and merges nothing before it', async () => {
    const vm = await new ProtectedVm({ diskSizes: [2 ** 20] }).protect();
    await vm.upload(...vm.cutCycle());
    await drainItem(vm.context, vm.item);
    const { leaseId } = (await vm.record()).disks[0]!;
    // The account comes back from an older copy: the rows survive, the page blob is a new one with fewer changes.
    await vm.storage.replicas.delete(replicaName(vm.item, 'disk0'), leaseId!);
    await vm.storage.replicas.create(replicaName(vm.item, 'disk0'), 2 ** 20 + 512);
    await vm.upload(...vm.cutCycle());
    await expect(drainItem(vm.context, vm.item)).rejects.toMatchObject({ code: 'ReplicaRolledBack' });
    for (let attempt = 0; attempt < 3; attempt++)
      expect(await drainItem(vm.context, vm.item)).toMatchObject({ outcome: 'blocked' });
    const record = await vm.record();
    expect(record.appliedCycle).toBe(1);
    expect(record.disks[0]!.resync).toMatchObject({ reason: 'ReplicaRolledBack', blocksMerging: true });
    expect(await codes(vm)).toEqual(['ReplicaRolledBack', 'ResyncRequired']);
  });

  it('shows that somebody else holds the replica, and goes on when it is free again', async () => {
    const vm = await new ProtectedVm({ diskSizes: [2 ** 20] }).protect();
    const name = replicaName(vm.item, 'disk0');
    await vm.storage.replicas.releaseLease(name, (await vm.record()).disks[0]!.leaseId!);
    const stranger = crypto.randomUUID();
    await vm.storage.replicas.holdLease(name, stranger);
    await vm.upload(...vm.cutCycle());
    await expect(drainItem(vm.context, vm.item)).rejects.toMatchObject({ code: 'ReplicaLeaseLost' });
    expect((await vm.record()).healthErrors).toMatchObject([{ code: 'ReplicaLeaseLost', level: 'Critical' }]);
    await vm.storage.replicas.releaseLease(name, stranger);
    await drainItem(vm.context, vm.item);
    expect(await vm.verifiedCycles()).toEqual([1]);
    expect(await codes(vm)).toEqual([]);
  });

  it('finds by reconciliation what no trigger announced', async () => {
    const vm = await new ProtectedVm().protect();
    await vm.upload(...vm.cutCycle());
    await vm.storage.deltas.put('stray.txt', new Uint8Array(1));
    await vm.storage.deltas.put('unknown-vm/000000000001/disk0.hrl', new Uint8Array(1));
    await reconcileDeltas(vm.context);
    expect(await vm.verifiedCycles()).toEqual([1]);
    expect(await vm.pendingNames()).toEqual(['stray.txt', 'unknown-vm/000000000001/disk0.hrl']);
  });
});
