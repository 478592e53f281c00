// The API of a large vault: items, jobs and events in Azurite, asked in this process as the Functions host would ask. Azurite keeps
// them in memory: on disk it writes everything anew whenever something changed, which is no property of the product.
import { randomUUID } from 'node:crypto';
import { handleRequest } from '../../lib/api/handle.ts';
import type { ApiContext } from '../../lib/api/http.ts';
import { parseVaultId } from '../../lib/api/arm.ts';
import { systemClock } from '../../lib/clock.ts';
import type { EventRecord } from '../../lib/events/events.ts';
import { noFaults } from '../../lib/faults/points.ts';
import { completedJob, newJob } from '../../lib/jobs/job.ts';
import { timeOrderedId } from '../../lib/jobs/jobId.ts';
import { storeInventory } from '../../lib/inventory/inventory.ts';
import { itemRecord } from '../../lib/protection/item.ts';
import { insertItem } from '../../lib/protection/itemStore.ts';
import { azureStorage } from '../../lib/storage/azure/index.ts';
import type { AzureStorage } from '../../lib/storage/azure/index.ts';
import type { RowWrite } from '../../lib/storage/ports.ts';
import { containerOf, fabrics, getResource } from '../../lib/vault/resources.ts';
import { accessWithKey } from '../../test/support/api.ts';
import { startAzurite } from '../../test/support/azurite.ts';
import { median, quantile } from '../measurements.ts';
import type { BenchGroup, Measurement } from '../measurements.ts';

const smallItems = 100;
const largeItems = 1000;
const records = 50_000;
const rounds = 60;
const rowsAtOnce = 90;

const path = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.RecoveryServices/vaults/v';
const key = 'key-of-the-bench';

interface Vault {
  storage: AzureStorage;
  call: (method: string, path: string, body?: object) => Promise<unknown>;
}

function openVault(storage: AzureStorage): Vault {
  const context: ApiContext = {
    replication: { storage, clock: systemClock, newId: randomUUID, fault: noFaults, log: () => undefined },
    orchestrations: { start: async () => undefined, raiseEvent: async () => undefined },
    signer: storage.signer,
    settings: {
      ...{ vault: parseVaultId(path), publicUrl: 'https://lifeboat.example' },
      ...{ uploadUrlMinutes: 60, requestsPerSecond: 100_000 },
    },
    ...accessWithKey(storage.access, key),
  };
  const call: Vault['call'] = async (method, target, body) => {
    const url = new URL(target, 'https://lifeboat.example');
    const text = body === undefined ? '' : JSON.stringify(body);
    const response = await handleRequest(context, {
      ...{ method, path: url.pathname, query: url.searchParams, address: 'bench' },
      headers: new Map([['authorization', `Bearer ${key}`]]),
      text: async () => text,
      bytes: async () => Buffer.from(text),
    });
    if (response.status >= 300) throw new Error(`${method} ${target} answered ${response.status}`);
    // What the host does with it.
    JSON.stringify(response.body);
    return response.body;
  };
  return { storage, call };
}

const nameOf = (index: number): string => `vm-${String(index).padStart(5, '0')}`;

async function inParallel(
  count: number,
  atOnce: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

async function addItems({ storage }: Vault, from: number, to: number): Promise<void> {
  const fabric = await getResource(storage.vault, fabrics, 'site1');
  const container = containerOf(fabric);
  const disks = [{ id: 'os', sizeBytes: 2 ** 30 }];
  const machines = Array.from({ length: to - from }, (_, index) => ({
    id: nameOf(from + index),
    name: nameOf(from + index),
    disks,
  }));
  const reported = machines.map((machine) => ({
    ...{ ...machine, generation: '2' as const, osType: 'Linux' as const, nics: [] },
    disks: disks.map((disk) => ({ ...disk, logicalSectorBytes: 512, isShared: false })),
  }));
  const now = new Date().toISOString();
  await storeInventory(storage.inventory, 'site1', { host: { name: `hv${from}` }, machines: reported }, now);
  await inParallel(to - from, 8, async (index) => {
    const item = nameOf(from + index);
    const armId = `${path}/replicationFabrics/site1/replicationProtectionContainers/${container}/replicationProtectedItems/${item}`;
    const disk = { disk: 'os', name: 'os', type: 'OperatingSystem', sizeBytes: 2 ** 30, leaseId: null };
    const rest = { arrivedAt: now, copyOf: now, fence: 1, lastLogId: null };
    await insertItem(
      storage,
      itemRecord.parse({
        ...{ item, name: item, fabric: 'site1', container, machine: item, machineName: item, armId },
        ...{ policy: 'gold', providerInput: {}, state: 'Protected', currentJob: null, createdAt: now },
        ...{ disks: [{ ...disk, ...rest }], consistentFromCycle: 1, appliedCycle: 7, applying: null },
        ...{
          healthErrors: [],
          latestPoint: { id: randomUUID(), cycle: 7, takenAt: now, recordedAt: now, consistency: 'crash' },
        },
      }),
    );
  });
}

async function addRecords({ storage }: Vault, progress: (line: string) => void): Promise<void> {
  const end = Date.now();
  const batches = Math.ceil(records / rowsAtOnce);
  await inParallel(batches, 4, async (batch) => {
    if (batch % 100 === 0) progress(`jobs ${batch * rowsAtOnce} of ${records}`);
    const writes = Array.from({ length: rowsAtOnce }, (_, index): RowWrite => {
      const at = new Date(end - (batch * rowsAtOnce + index) * 60_000);
      const about = {
        id: timeOrderedId(at, randomUUID()),
        kind: 'createPolicy' as const,
        createdAt: at.toISOString(),
      };
      const job = newJob({ ...about, targetId: `${path}/replicationPolicies/gold`, targetName: 'gold' });
      return { kind: 'insert', key: job.id, value: completedJob(job, about.createdAt) };
    });
    await storage.jobs.transact('jobs', writes);
  });
  await inParallel(batches, 4, async (batch) => {
    if (batch % 100 === 0) progress(`events ${batch * rowsAtOnce} of ${records}`);
    const writes = Array.from({ length: rowsAtOnce }, (_, row): RowWrite => {
      const index = batch * rowsAtOnce + row;
      const at = new Date(end - index * 60_000);
      const event: EventRecord = {
        ...{
          id: timeOrderedId(at, randomUUID()),
          at: at.toISOString(),
          eventType: 'VmHealth',
          severity: 'OK',
        },
        ...{ eventCode: 'RpoExceeded', description: 'The newest recovery point is old.', fabric: 'site1' },
        ...{ objectName: nameOf(index % largeItems), objectId: nameOf(index % largeItems) },
        ...{ jobId: null, jobStatus: null },
      };
      return { kind: 'insert', key: event.id, value: event };
    });
    await storage.jobs.transact('events', writes);
  });
}

/** Turn by turn, so that what else the machine does meets all of them alike. */
async function timesOf(works: readonly ((round: number) => Promise<unknown>)[]): Promise<number[][]> {
  const times = works.map((): number[] => []);
  for (let round = -5; round < rounds; round++) {
    for (const [index, work] of works.entries()) {
      const startedAt = performance.now();
      await work(Math.abs(round));
      if (round >= 0) times[index]?.push(performance.now() - startedAt);
    }
  }
  return times;
}

const measured = (what: string, times: readonly number[], detail = ''): Measurement => ({
  ...{ what, value: median(times), unit: 'ms' },
  detail: `median of ${times.length}, 95 % ${quantile(times, 0.95).toFixed(1)} ms${detail}`,
});

/** A vault with its data, and the reads of it that are compared. */
interface Filled {
  vault: Vault;
  count: number;
  container: string;
}

const at = (round: number, count: number): string => nameOf((round * 7919) % count);

const reads: Record<string, (filled: Filled, round: number) => Promise<unknown>> = {
  'GET protected item': ({ vault, container, count }, round) =>
    vault.call('GET', `${container}/replicationProtectedItems/${at(round, count)}`),
  'first page of protected items (20)': ({ vault }) => vault.call('GET', `${path}/replicationProtectedItems`),
  'recovery points of an item': ({ vault, container, count }, round) =>
    vault.call('GET', `${container}/replicationProtectedItems/${at(round, count)}/recoveryPoints`),
  'for comparison: one row of the table': ({ vault, count }, round) =>
    vault.storage.items.find(at(round, count), 'item'),
};

async function configure({ call }: Vault): Promise<string> {
  const fabric = `${path}/replicationFabrics/site1`;
  await call('PUT', fabric, {});
  await call('PUT', `${path}/replicationPolicies/gold`, {});
  const page = await call('GET', `${fabric}/replicationProtectionContainers`);
  return (page as { value: { id: string }[] }).value[0]?.id ?? '';
}

async function fill(storage: AzureStorage, count: number): Promise<Filled> {
  await storage.ensureContainers();
  const vault = openVault(storage);
  const container = await configure(vault);
  await addItems(vault, 0, count);
  return { vault, count, container };
}

async function measure(small: Filled, large: Filled): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const [what, read] of Object.entries(reads)) {
    const [few = [], many = []] = await timesOf(
      [small, large].map((filled) => (round) => read(filled, round)),
    );
    const ratio = (median(many) / median(few)).toFixed(2);
    measurements.push(measured(what, many, `; ${ratio} × that of ${smallItems} items`));
  }
  const since = new Date(Date.now() - 20 * 24 * 3_600_000).toISOString();
  const filter = encodeURIComponent(`StartTime ge '${since}' and JobStatus eq 'Succeeded'`);
  const lists = ['replicationJobs', `replicationJobs?$filter=${filter}`, 'replicationEvents'];
  const times = await timesOf(lists.map((below) => () => large.vault.call('GET', `${path}/${below}`)));
  const names = ['first page of jobs (50)', 'first page of jobs, filtered', 'first page of events (50)'];
  return [...measurements, ...names.map((what, index) => measured(what, times[index] ?? []))];
}

export const apiBench: BenchGroup = {
  what: `the API with ${largeItems} items and ${records} jobs and events in Azurite: reads`,
  async run(progress) {
    const emulators = await Promise.all([startAzurite(), startAzurite()]);
    try {
      const [few, many] = emulators.map(({ connectionString }) => azureStorage({ connectionString }));
      if (!few || !many) throw new Error('two emulators are needed');
      progress(`${smallItems} and ${largeItems} items`);
      const small = await fill(few, smallItems);
      const large = await fill(many, largeItems);
      await addRecords(large.vault, progress);
      return await measure(small, large);
    } finally {
      for (const emulator of emulators) await emulator.stop();
    }
  },
};
