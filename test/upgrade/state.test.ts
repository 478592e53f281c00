// The state that an earlier version left, through the code of today: nothing is lost, nothing has to be done by hand, and what was
// under way goes on.
import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { LifeboatError } from '../../lib/errors.ts';
import { listMachines } from '../../lib/inventory/inventory.ts';
import { listJobs } from '../../lib/jobs/jobStore.ts';
import { findItem, getItem, listItems, listRecoveryPoints } from '../../lib/protection/itemStore.ts';
import { reconcileJobs } from '../../lib/protection/reconcileJobs.ts';
import { drainItem } from '../../lib/replication/drain.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import { replicaName } from '../../lib/replication/names.ts';
import { memoryStorage } from '../../lib/storage/memory/index.ts';
import type { Storage } from '../../lib/storage/ports.ts';
import { versionedRows } from '../../lib/storage/versionedRows.ts';
import { rowVersions } from '../../lib/upgrade/rowVersions.ts';
import { upgradeState } from '../../lib/upgrade/upgradeState.ts';
import { findPolicy } from '../../lib/vault/policies.ts';
import { fabrics, listResources, mappings } from '../../lib/vault/resources.ts';
import { testContext } from '../support/protectedVm.ts';
import { readState, restoreState } from './recordedState.ts';

const state = readState('0.1.0');
let raw: Storage;
let context: ReplicationContext;

beforeEach(async () => {
  raw = memoryStorage();
  await restoreState(raw, state);
  context = testContext(versionedRows(raw, rowVersions));
});

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Digests of the disks as each recovery point holds them. */
async function digestsOfPoints(item: string): Promise<Record<string, Record<string, string>>> {
  const digests: Record<string, Record<string, string>> = {};
  const { disks } = await getItem(context.storage.items, item);
  for await (const point of listRecoveryPoints(context.storage.items, item)) {
    const cycle: Record<string, string> = (digests[point.cycle] = {});
    for (const { disk, snapshotId } of point.disks) {
      const lengthBytes = disks.find((row) => row.disk === disk)?.sizeBytes ?? 0;
      const range = { offsetBytes: 0, lengthBytes };
      cycle[disk] = sha256(await context.storage.replicas.read(replicaName(item, disk), range, snapshotId));
    }
  }
  return digests;
}

describe('the state of version 0.1.0', () => {
  it('reads: items, points, jobs, policies, sites, machines', async () => {
    const items: string[] = [];
    for await (const { item, state: at } of listItems(context.storage)) items.push(`${item} ${at}`);
    expect(items).toEqual(['vm-1 Protected', 'vm-2 InitialReplicationInProgress']);
    const { 1: first, 2: second } = state.expected;
    expect(await digestsOfPoints('vm-1')).toEqual({ 1: first, 2: second });
    const jobs: string[] = [];
    for await (const { kind, item, state: at } of listJobs(context.storage.jobs))
      jobs.push(`${kind} ${item} ${at}`);
    expect(jobs.sort()).toEqual([
      'associatePolicy null Succeeded',
      'createPolicy null Succeeded',
      'createSite null Succeeded',
      'enableProtection vm-1 Succeeded',
      'enableProtection vm-2 InProgress',
    ]);
    expect(await findPolicy(context.storage.vault, 'gold')).toMatchObject({ name: 'gold', verify: 'none' });
    expect(await listResources(context.storage.vault, fabrics)).toHaveLength(1);
    expect(await listResources(context.storage.vault, mappings)).toHaveLength(1);
    expect((await listMachines(context.storage.inventory, 'site1')).map(({ id }) => id)).toEqual([
      'vm-1',
      'vm-2',
    ]);
  });

  it('goes on: the cycle that was half uploaded becomes a recovery point', async () => {
    await upgradeState(context);
    const { name, bytes } = state.late;
    await context.storage.deltas.put(name, Buffer.from(bytes, 'base64'));
    expect(await drainItem(context, 'vm-1')).toEqual({ outcome: 'idle', appliedCycles: [3] });
    expect(await digestsOfPoints('vm-1')).toEqual(state.expected);
  });

  it('timers look after its items, and its running job is not forgotten', async () => {
    await upgradeState(context);
    for (const item of ['vm-1', 'vm-2'])
      expect(Object.keys((await getItem(context.storage.items, item)).agenda).sort()).toEqual([
        'health',
        'retention',
      ]);
    const signalled: string[] = [];
    const orchestrations = {
      start: async (name: string, id: string) => void signalled.push(`start ${name} ${id}`),
      raiseEvent: async (id: string, event: string) => void signalled.push(`${event} ${id}`),
    };
    // What the job waits for has come.
    const { currentJob } = await getItem(context.storage.items, 'vm-2');
    const row = await raw.items.find('vm-2', 'item');
    const value = { ...(row?.value as object), state: 'InitialReplicationCompletedOnPrimary' };
    await raw.items.transact('vm-2', [{ kind: 'put', key: 'item', value }]);
    await reconcileJobs(context, orchestrations);
    expect(signalled).toEqual([`changed ${currentJob}`]);
  });

  it('is upgraded once, and again without harm; a fresh account has nothing to do', async () => {
    const lines: string[] = [];
    const logging = { ...context, log: (line: string) => void lines.push(line) };
    await upgradeState(logging);
    const before = await findItem(context.storage.items, 'vm-1');
    await upgradeState(logging);
    expect(lines).toHaveLength(1);
    expect(await findItem(context.storage.items, 'vm-1')).toEqual(before);
    const fresh = testContext(versionedRows(memoryStorage(), rowVersions));
    await upgradeState(fresh);
    expect((await fresh.storage.vault.find('meta', 'state'))?.value).toEqual({
      version: rowVersions.current,
    });
  });
});

describe('versions of rows', () => {
  it('are stored with every row that is written, and not seen by who reads', async () => {
    await upgradeState(context);
    for (const [table, partition, key] of [
      ['items', 'vm-1', 'item'],
      ['vault', 'meta', 'state'],
    ] as const) {
      expect((await raw[table].find(partition, key))?.value).toHaveProperty('v', rowVersions.current);
      expect((await context.storage[table].find(partition, key))?.value).not.toHaveProperty('v');
    }
    // Nobody has changed this one.
    expect((await raw.items.find('vm-1', 'point:000000000001'))?.value).not.toHaveProperty('v');
  });

  it('of a newer Lifeboat are refused by name, and nothing is written', async () => {
    const row = await raw.items.find('vm-1', 'item');
    const value = { ...(row?.value as object), v: rowVersions.current + 1 };
    await raw.items.transact('vm-1', [{ kind: 'put', key: 'item', value }]);
    const failure = await drainItem(context, 'vm-1').catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(LifeboatError);
    expect(failure).toMatchObject({ code: 'StateFromNewerVersion', kind: 'fatal', target: 'item' });
    expect((await raw.items.find('vm-1', 'item'))?.value).toEqual(value);
  });

  it('go forward step by step, each row from where it is', async () => {
    const storage = memoryStorage();
    const put = (key: string, value: object) => storage.items.transact('p', [{ kind: 'put', key, value }]);
    await put('a', { steps: [] });
    await put('b', { steps: [], v: 2 });
    await put('c', { steps: [], v: 3 });
    const step = (to: number) => ({
      ...{ to, table: 'items' as const, applies: () => true },
      migrate: ({ steps }: Readonly<Record<string, unknown>>) => ({ steps: [...(steps as number[]), to] }),
    });
    const versioned = versionedRows(storage, { current: 3, migrations: [step(2), step(3)] });
    const read: unknown[] = [];
    for await (const { value } of versioned.items.list('p')) read.push(value);
    expect(read).toEqual([{ steps: [2, 3] }, { steps: [3] }, { steps: [] }]);
  });
});
