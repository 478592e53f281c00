// The API of a large vault on the local host: items, jobs and events in Azurite, asked over HTTP as clients do.
import { randomUUID } from 'node:crypto';
import { recordEvent } from '../../lib/events/events.ts';
import { completedJob, newJob } from '../../lib/jobs/job.ts';
import { timeOrderedId } from '../../lib/jobs/jobId.ts';
import { storeInventory } from '../../lib/inventory/inventory.ts';
import { itemRecord } from '../../lib/protection/item.ts';
import { insertItem } from '../../lib/protection/itemStore.ts';
import { azureStorage } from '../../lib/storage/azure/index.ts';
import type { RowWrite, Storage } from '../../lib/storage/ports.ts';
import { containerOf, fabrics, getResource } from '../../lib/vault/resources.ts';
import { lifeboatApp, withHost } from '../hostSession.ts';
import { median, quantile } from '../measurements.ts';
import type { BenchGroup, Measurement } from '../measurements.ts';

const smallItems = 100;
const largeItems = 1000;
const records = 50_000;
const rounds = 60;
const rowsAtOnce = 90;

interface Vault {
  url: string;
  path: string;
  headers: Record<string, string>;
  storage: Storage;
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

async function addItems({ storage, path }: Vault, from: number, to: number): Promise<void> {
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

async function addJobs({ storage, path }: Vault, progress: (line: string) => void): Promise<void> {
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
  await inParallel(records, 8, async (index) => {
    if (index % 10_000 === 0) progress(`events ${index} of ${records}`);
    await recordEvent(storage.jobs, {
      ...{ at: new Date(end - index * 60_000).toISOString(), eventType: 'VmHealth', severity: 'OK' },
      ...{ eventCode: 'RpoExceeded', description: 'The newest recovery point is old.', fabric: 'site1' },
      ...{
        objectName: nameOf(index % largeItems),
        objectId: nameOf(index % largeItems),
        jobId: null,
        jobStatus: null,
      },
    });
  });
}

async function timesOf({ url, headers }: Vault, pathOf: (round: number) => string): Promise<number[]> {
  const times: number[] = [];
  for (let round = -5; round < rounds; round++) {
    const startedAt = performance.now();
    const response = await fetch(url + pathOf(Math.abs(round)), { headers });
    await response.arrayBuffer();
    if (response.status !== 200) throw new Error(`${pathOf(round)} answered ${response.status}`);
    if (round >= 0) times.push(performance.now() - startedAt);
  }
  return times;
}

const measured = (what: string, times: readonly number[], detail = ''): Measurement => ({
  ...{ what, value: median(times), unit: 'ms' },
  detail: `median of ${times.length}, 95 % ${quantile(times, 0.95).toFixed(1)} ms${detail}`,
});

async function measureItems(vault: Vault, count: number, container: string) {
  const items = `${container}/replicationProtectedItems`;
  const at = (round: number) => nameOf((round * 7919) % count);
  return {
    get: await timesOf(vault, (round) => `${items}/${at(round)}`),
    list: await timesOf(vault, () => `${vault.path}/replicationProtectedItems`),
    points: await timesOf(vault, (round) => `${items}/${at(round)}/recoveryPoints`),
    floor: await timesOf(vault, () => '/health'),
  };
}

async function configure({ url, path, headers }: Vault): Promise<string> {
  const put = async (below: string, body: object) => {
    const sent = {
      method: 'PUT',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    };
    const response = await fetch(url + below, sent);
    if (response.status !== 202) throw new Error(`PUT ${below} answered ${response.status}`);
  };
  await put(`${path}/replicationFabrics/site1`, {});
  await put(`${path}/replicationPolicies/gold`, {});
  const containers = await fetch(`${url}${path}/replicationFabrics/site1/replicationProtectionContainers`, {
    headers,
  });
  const { value } = (await containers.json()) as { value: { id: string }[] };
  return value[0]?.id ?? '';
}

export const apiBench: BenchGroup = {
  what: `the API with ${largeItems} items and ${records} jobs and events: reads over HTTP`,
  run: (progress) =>
    withHost(lifeboatApp, async ({ address }) => {
      const local = address as unknown as Record<string, string>;
      const vault: Vault = {
        ...{ url: address.url, path: local['vaultPath'] ?? '' },
        headers: { authorization: `Bearer ${local['adminKey'] ?? ''}` },
        storage: azureStorage({ connectionString: local['storageConnectionString'] ?? '' }),
      };
      const container = await configure(vault);
      progress(`${smallItems} items`);
      await addItems(vault, 0, smallItems);
      const small = await measureItems(vault, smallItems, container);
      progress(`${largeItems} items`);
      await addItems(vault, smallItems, largeItems);
      await addJobs(vault, progress);
      const large = await measureItems(vault, largeItems, container);
      const ratio = (part: keyof typeof small) =>
        `; ${(median(large[part]) / median(small[part])).toFixed(2)} × that of ${smallItems} items`;
      const filter = encodeURIComponent(
        `StartTime ge '${new Date(Date.now() - 20 * 24 * 3_600_000).toISOString()}' and JobStatus eq 'Succeeded'`,
      );
      return [
        measured('GET protected item', large.get, ratio('get')),
        measured('first page of protected items (50)', large.list, ratio('list')),
        measured('recovery points of an item', large.points, ratio('points')),
        measured('first page of jobs (50)', await timesOf(vault, () => `${vault.path}/replicationJobs`)),
        measured(
          'first page of jobs, filtered',
          await timesOf(vault, () => `${vault.path}/replicationJobs?$filter=${filter}`),
        ),
        measured('first page of events (50)', await timesOf(vault, () => `${vault.path}/replicationEvents`)),
        measured('for comparison: GET /health (one table read)', large.floor, ratio('floor')),
      ];
    }),
};
