// A test failover as an operator asks for it, on the local host: from the request until the job says that the disks are made,
// and until it is over. Beside plain 4 MiB page writes of as many bytes on the same emulator, in turns.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { BlobServiceClient } from '@azure/storage-blob';
import pMap from 'p-map';
import { type Service, SourceHost } from '../../test/e2e/client.ts';
import { type HostSession, lifeboatApp, withHost } from '../hostSession.ts';
import { median, type Measurement } from '../measurements.ts';

const mebibyte = 2 ** 20;
const pieceBytes = 4 * mebibyte;
const roundCount = 3;
const pollMs = 100;
const limitMs = 300_000;
const item = 'bench-failover';

interface JobView {
  properties: { state: string; errors: unknown; tasks: { taskId: string; endTime: string }[] };
}

/** Protects a machine with one disk, all of it random, with one recovery point. Returns the item's path. */
async function protectedMachine(source: SourceHost, disk: Buffer): Promise<string> {
  const itemPath = await source.protect(item, { os: disk.length });
  await source.replicate(item, { os: disk });
  const log = source.cutLog(item, 'os', [{ offset: 0, data: randomBytes(4096) }]);
  await source.putLog(`${item}/000000000001/os.hrl`, log);
  await until(async () => (await source.points(itemPath)).length > 0);
  await until(async () => {
    const { body } = await source.call('GET', itemPath);
    return (body as { properties: { protectionState: string } }).properties.protectionState === 'Protected';
  });
  return itemPath;
}

async function until(isDone: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await isDone())) {
    if (performance.now() > deadline)
      throw new Error('The service did not get there within the time of the benchmark.');
    await sleep(pollMs);
  }
}

/** Sends the verb and waits for its job. Returns seconds from the request until `lastStep`, and the job, were over. */
async function timedJob(
  source: SourceHost,
  url: string,
  lastStep: string,
  properties: object,
): Promise<{ stepSeconds: number; jobSeconds: number }> {
  const requestedAt = Date.now();
  const { status, headers } = await source.call('POST', url, { properties });
  if (status !== 202) throw new Error(`POST ${url} answered ${status}.`);
  const id = /operationresults\/([^?]+)/.exec(headers.get('location') ?? '')?.[1] ?? '';
  let stepEndedAt = 0;
  await until(async () => {
    const { body } = await source.call('GET', `${source.service.vaultPath}/replicationJobs/${id}`);
    const { state, errors, tasks } = (body as JobView).properties;
    if (state === 'Failed') throw new Error(`Job ${id} failed: ${JSON.stringify(errors)}`);
    stepEndedAt = Date.parse(tasks.find(({ taskId }) => taskId === lastStep)?.endTime ?? '');
    return state === 'Succeeded';
  });
  return { stepSeconds: (stepEndedAt - requestedAt) / 1000, jobSeconds: (Date.now() - requestedAt) / 1000 };
}

async function plainSeconds(session: HostSession, data: Buffer): Promise<number> {
  const service = BlobServiceClient.fromConnectionString(session.address.storageConnectionString);
  const container = service.getContainerClient('bench-plain');
  await container.createIfNotExists();
  const blob = container.getPageBlobClient('pages');
  await blob.create(data.length);
  const offsets = Array.from({ length: data.length / pieceBytes }, (_, index) => index * pieceBytes);
  const startedAt = performance.now();
  const write = (offset: number) =>
    blob.uploadPages(data.subarray(offset, offset + pieceBytes), offset, pieceBytes);
  await pMap(offsets, write, { concurrency: 4 });
  const seconds = (performance.now() - startedAt) / 1000;
  await blob.delete();
  return seconds;
}

/** `diskMiB` all of which are random bytes: nothing is sparse, so this is the worst case of its size. */
export function benchTestFailover(progress: (line: string) => void, diskMiB: number): Promise<Measurement[]> {
  return withHost(lifeboatApp, async (session) => {
    const source = new SourceHost(session.address as unknown as Service);
    const disk = randomBytes(diskMiB * mebibyte);
    progress(`initial replication of ${diskMiB} MiB`);
    const itemPath = await protectedMachine(source, disk);
    const [ready, whole, ratios]: [number[], number[], number[]] = [[], [], []];
    for (let round = 1; round <= roundCount; round++) {
      const providerSpecificDetails = { instanceType: 'HyperVReplicaAzure', recoveryPointId: null };
      const asked = { providerSpecificDetails };
      const times = await timedJob(source, `${itemPath}/testFailover`, 'BeginTestFailoverTask', asked);
      const lastCleanup = 'CleanupTestProtectedEntitiesTask';
      await timedJob(source, `${itemPath}/testFailoverCleanup`, lastCleanup, { comments: '' });
      const plain = await plainSeconds(session, disk);
      progress(
        `test failover ${round}: disks ready ${times.stepSeconds.toFixed(1)} s, plain writes ${plain.toFixed(1)} s`,
      );
      ready.push(times.stepSeconds);
      whole.push(times.jobSeconds);
      ratios.push(times.stepSeconds / plain);
    }
    const what = `test failover of a machine with a disk of ${diskMiB} MiB, nothing of it sparse`;
    const worst = Math.max(...ready).toFixed(1);
    return [
      {
        ...{ what: `${what}: request to disks ready`, value: median(ready), unit: 's' },
        detail: `median of ${roundCount}, worst ${worst} s`,
      },
      { what: '… request to the end of the job', value: median(whole), unit: 's', detail: 'the same runs' },
      {
        ...{ what: '… disks ready / plain page writes', value: median(ratios), unit: '×' },
        detail: 'as many bytes, 4 MiB each, four at a time, same emulator, same round',
      },
    ];
  });
}
