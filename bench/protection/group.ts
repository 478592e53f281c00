// Timers over very many items: a tick reads the items that are due, and what it costs does not depend on how many are not.
import { performance } from 'node:perf_hooks';
import { addEntry, runDue, withPlan } from '../../lib/agenda/agenda.ts';
import { noFaults } from '../../lib/faults/points.ts';
import { itemRecord } from '../../lib/protection/item.ts';
import { insertItem } from '../../lib/protection/itemStore.ts';
import { lookAtHealth } from '../../lib/protection/looks.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import { memoryStorage } from '../../lib/storage/memory/index.ts';
import type { Storage, TablePort } from '../../lib/storage/ports.ts';
import type { BenchGroup, Measurement } from '../measurements.ts';

const now = new Date('2026-01-01T12:00:00.000Z');
const dueItems = 50;

/** A table that counts what is read. */
function counting(table: TablePort, counts: { rows: number }): TablePort {
  return {
    find: (...args) => {
      counts.rows++;
      return table.find(...args);
    },
    async *list(...args) {
      for await (const row of table.list(...args)) {
        counts.rows++;
        yield row;
      }
    },
    transact: (...args) => table.transact(...args),
  };
}

async function vaultOf(items: number, counts: { rows: number }): Promise<ReplicationContext> {
  const plain = memoryStorage();
  const storage: Storage = {
    ...plain,
    items: counting(plain.items, counts),
    vault: counting(plain.vault, counts),
  };
  const context: ReplicationContext = {
    ...{ storage, clock: { now: () => now }, newId: () => crypto.randomUUID(), fault: noFaults },
    log: () => undefined,
  };
  for (let index = 0; index < items; index++) {
    const item = `vm-${String(index).padStart(6, '0')}`;
    const minutes = index < dueItems ? -1 : 30;
    const at = new Date(now.getTime() + minutes * 60_000).toISOString();
    await addEntry(context, 'health', item, at);
    const record = itemRecord.parse({
      ...{
        item,
        name: item,
        fabric: 'site',
        container: 'cloud',
        machine: item,
        machineName: item,
        policy: 'gold',
      },
      ...{ providerInput: {}, state: 'Protected', currentJob: null, createdAt: now.toISOString(), disks: [] },
      ...{ consistentFromCycle: 1, appliedCycle: 0, applying: null, healthErrors: [] },
    });
    await insertItem(plain, withPlan(record, 'health', at));
  }
  return context;
}

async function tick(items: number): Promise<{ rows: number; ms: number }> {
  const counts = { rows: 0 };
  const context = await vaultOf(items, counts);
  counts.rows = 0;
  const orchestrations = { start: async () => undefined, raiseEvent: async () => undefined };
  const startedMs = performance.now();
  const looked = await runDue(context, 'health', (record) => lookAtHealth(context, orchestrations, record));
  if (looked !== dueItems) throw new Error(`${looked} items were looked at instead of ${dueItems}`);
  return { rows: counts.rows, ms: performance.now() - startedMs };
}

async function run(progress: (line: string) => void): Promise<Measurement[]> {
  const results: Measurement[] = [];
  for (const items of [100, 1000, 10_000]) {
    progress(`a tick over ${items} items`);
    const { rows, ms } = await tick(items);
    results.push({
      what: `rows read by a tick, ${dueItems} of ${items} items due`,
      value: rows,
      unit: 'rows',
    });
    results.push({ what: `the same tick on storage in memory`, value: ms, unit: 'ms' });
  }
  return results;
}

export const protectionBench: BenchGroup = { what: 'timers over many items', run };
