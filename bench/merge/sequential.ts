// A sequential log: check, plan, merge and read-back through the adapters into Azurite, beside what plain requests reach
// on the same emulator in the same round. The emulator has one thread and does not copy by itself, so a merge that has to
// read the log again costs what the reads and the writes cost together. A log of usual size is kept in memory by its check,
// of a large one a fifth, and the rest in scratch space, as in the product: merging them is writing alone.
import { randomFillSync } from 'node:crypto';
import { tmpdir } from 'node:os';
import { buffer } from 'node:stream/consumers';
import { BlobServiceClient } from '@azure/storage-blob';
import pMap from 'p-map';
import { scratchFolder } from '../../functions/scratchFolder.ts';
import { buildHrl } from '../../lib/hrl/writer.ts';
import { verifyHrl } from '../../lib/hrl/verify.ts';
import { applyMerge } from '../../lib/merge/apply.ts';
import { KeptLog } from '../../lib/merge/keptLog.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { readBack } from '../../lib/merge/readBack.ts';
import { azureStorage } from '../../lib/storage/azure/index.ts';
import { blobSource } from '../../lib/storage/blobSource.ts';
import type { BlobInfo, Fence } from '../../lib/storage/ports.ts';
import { conformanceApp, withHost } from '../hostSession.ts';
import type { Measurement } from '../measurements.ts';
import {
  concurrencies,
  logMiB,
  roundCount,
  summarizeSequential,
  usualLogMiB,
  type PlainRounds,
  type Rounds,
} from './sequentialRounds.ts';

const mebibyte = 2 ** 20;
const entryBytes = 64 * 1024;
const pageWriteBytes = 4 * mebibyte;
const pageReadBytes = 8 * mebibyte;
const replica = 'bench/sequential.vhd';
const logName = 'bench/000000000001/sequential.hrl';
const usualLogName = 'bench/000000000002/sequential.hrl';

const scratch = scratchFolder(tmpdir(), 1024 * mebibyte);

type Storage = ReturnType<typeof azureStorage>;

export function benchSequential(progress: (line: string) => void): Promise<Measurement[]> {
  // Any host will do: what is measured is its Azurite, and the conformance app does not look at our containers.
  return withHost(conformanceApp, async ({ address: { storageConnectionString: connectionString } }) => {
    const storage = azureStorage({ connectionString });
    await storage.ensureContainers();
    const data = randomFillSync(new Uint8Array(logMiB * mebibyte));
    const log = await putLog(storage, logName, data);
    const usualData = data.subarray(0, usualLogMiB * mebibyte);
    const usualLog = await putLog(storage, usualLogName, usualData);
    await storage.replicas.create(replica, data.length);
    const leaseId = crypto.randomUUID();
    await storage.replicas.holdLease(replica, leaseId);
    const withMd5 = azureStorage({ connectionString, checkWrites: true });
    const rounds: Partial<Rounds> = {};
    const plain: PlainRounds = { usual: [], large: [] };
    // Taking turns, so that whatever else the machine does meets all of them. The first round warms up.
    for (let round = 0; round <= roundCount; round++) {
      progress(`sequential merge ${round} of ${roundCount}`);
      const usual = await mergeOnce(storage, usualLog, leaseId, true);
      const usualWrites = await plainWrites(connectionString, usualData);
      const times: Record<keyof Rounds, number> = {
        ...{ usualCheck: usual.check, usualMerge: usual.merge },
        ...(await mergeOnce(storage, log, leaseId, true)),
        mergeUnkept: (await mergeOnce(storage, log, leaseId, false)).merge,
        mergeWithMd5: (await mergeOnce(withMd5, log, leaseId, true)).merge,
        plainReads: await plainReads(connectionString, log.sizeBytes),
      };
      const largeWrites = await plainWrites(connectionString, data);
      if (round === 0) continue;
      plain.usual.push(usualWrites);
      plain.large.push(largeWrites);
      for (const [step, seconds] of Object.entries(times))
        (rounds[step as keyof Rounds] ??= []).push(seconds);
    }
    return summarizeSequential(rounds as Rounds, plain);
  });
}

async function putLog(storage: Storage, name: string, data: Uint8Array): Promise<BlobInfo> {
  const writes = Array.from({ length: data.length / entryBytes }, (_, index) => ({
    diskOffset: index * entryBytes,
    data: data.subarray(index * entryBytes, (index + 1) * entryBytes),
  }));
  await storage.deltas.put(name, buildHrl(writes, { uniqueId: crypto.randomUUID(), createdAt: new Date() }));
  const blob = await storage.deltas.find(name);
  if (blob === undefined) throw new Error(`${name} is not there after its upload`);
  return blob;
}

async function mergeOnce(
  { replicas, deltas }: Storage,
  log: BlobInfo,
  leaseId: string,
  mayKeep: boolean,
): Promise<{ check: number; merge: number; readBack: number }> {
  const fence: Fence = { leaseId, sequenceNumber: await replicas.raiseSequenceNumber(replica, leaseId) };
  const stored = blobSource(deltas, log);
  using kept = new KeptLog(mayKeep ? log.sizeBytes : 0, { scratch: mayKeep ? scratch : undefined });
  const times: number[] = [performance.now()];
  const disk = { diskSizeBytes: logMiB * mebibyte };
  const { log: read } = await verifyHrl(stored, disk, (at, bytes) => kept.take(at, bytes));
  const source = kept.over(stored);
  times.push(performance.now());
  const segments = planMerge(read.entries);
  const target = {
    writePages: (offsetBytes: number, data: Uint8Array) =>
      replicas.writePages(replica, offsetBytes, data, fence),
    clearPages: (range: { offsetBytes: number; lengthBytes: number }) =>
      replicas.clearPages(replica, range, fence),
  };
  await applyMerge({ source, segments, target });
  times.push(performance.now());
  await readBack({
    source,
    segments,
    targetName: replica,
    readTarget: (range) => replicas.read(replica, range),
  });
  times.push(performance.now());
  const [check = 0, merge = 0, back = 0] = times
    .slice(1)
    .map((time, index) => (time - (times[index] ?? 0)) / 1000);
  return { check, merge, readBack: back };
}

/** Seconds of reading the log in pieces of 8 MiB, four at a time. */
async function plainReads(connectionString: string, sizeBytes: number): Promise<number> {
  const blob = BlobServiceClient.fromConnectionString(connectionString)
    .getContainerClient('deltas')
    .getBlobClient(logName);
  const offsets = Array.from(
    { length: Math.ceil(sizeBytes / pageReadBytes) },
    (_, index) => index * pageReadBytes,
  );
  const startedAt = performance.now();
  await pMap(
    offsets,
    async (offset) => {
      const length = Math.min(pageReadBytes, sizeBytes - offset);
      const { readableStreamBody } = await blob.download(offset, length);
      if (readableStreamBody !== undefined) await buffer(readableStreamBody);
    },
    { concurrency: 4 },
  );
  return (performance.now() - startedAt) / 1000;
}

/** Seconds of writing the data into a new page blob, with each number of requests at a time. */
async function plainWrites(connectionString: string, data: Uint8Array): Promise<number[]> {
  const container =
    BlobServiceClient.fromConnectionString(connectionString).getContainerClient('bench-plain');
  await container.createIfNotExists();
  const offsets = Array.from({ length: data.length / pageWriteBytes }, (_, index) => index * pageWriteBytes);
  const seconds: number[] = [];
  for (const concurrency of concurrencies) {
    const blob = container.getPageBlobClient(`pages-${concurrency}`);
    await blob.create(data.length);
    const startedAt = performance.now();
    await pMap(
      offsets,
      (offset) => blob.uploadPages(data.subarray(offset, offset + pageWriteBytes), offset, pageWriteBytes),
      { concurrency },
    );
    seconds.push((performance.now() - startedAt) / 1000);
    await blob.delete();
  }
  return seconds;
}
