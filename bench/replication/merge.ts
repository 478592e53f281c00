// A large sequential log: the rate at which it becomes a recovery point, beside the rate that plain 4 MiB Put Pages reach
// on the same emulator in the same run, which is the most that any merge could reach.
import { randomBytes } from 'node:crypto';
import { BlobServiceClient } from '@azure/storage-blob';
import pMap from 'p-map';
import type { PlainWrite } from '../../test/support/independentHrl.ts';
import { lifeboatApp, withHost } from '../hostSession.ts';
import { median, type Measurement } from '../measurements.ts';
import { BenchMachine } from './cycles.ts';

const mebibyte = 2 ** 20;
const logMiB = 256;
const entryBytes = 64 * 1024;
const pageWriteBytes = 4 * mebibyte;
const concurrencies = [1, 4, 8];
const readConcurrency = 8;
const roundCount = 3;

export function benchMerge(progress: (line: string) => void): Promise<Measurement[]> {
  return withHost(lifeboatApp, async (session) => {
    const data = randomBytes(logMiB * mebibyte);
    const machine = await BenchMachine.protect(session, 'bench-large', data.length);
    await machine.runCycle([{ offset: 0, data: data.subarray(0, entryBytes) }]);
    const mergeRates: number[] = [];
    const plainRates: number[] = [];
    const readRates: number[] = [];
    // Taking turns, so that whatever else the machine does meets both.
    for (let round = 1; round <= roundCount; round++) {
      progress(`merge ${round} of ${roundCount}`);
      mergeRates.push(logMiB / ((await machine.runCycle(sequentialWrites(data))) / 1000));
      const rates = new Map<number, number>();
      for (const concurrency of concurrencies)
        rates.set(concurrency, await plainRate(session.address.storageConnectionString, data, concurrency));
      progress(
        `plain Put Pages: ${[...rates].map(([n, rate]) => `${Math.round(rate)} MiB/s with ${n}`).join(', ')}`,
      );
      plainRates.push(Math.max(...rates.values()));
      readRates.push(await plainReadRate(session.address.storageConnectionString, data));
    }
    const [merge, plain, read] = [median(mergeRates), median(plainRates), median(readRates)];
    // The emulator cannot copy pages inside the storage (501), so a merge reads every byte before it writes it.
    const readThenWrite = 1 / (1 / read + 1 / plain);
    const detail = `median of ${roundCount}, ${logMiB} MiB in entries of 64 KiB, from upload to recovery point`;
    return [
      { what: 'merge of a sequential log', value: merge, unit: 'MiB/s', detail },
      { what: 'plain 4 MiB Put Pages', value: plain, unit: 'MiB/s', detail: 'best of 1, 4 and 8 at a time' },
      { what: 'plain 4 MiB reads', value: read, unit: 'MiB/s', detail: '8 at a time' },
      {
        ...{ what: 'merge / (read, then Put Pages)', value: (merge / readThenWrite) * 100, unit: '%' },
        detail: 'each byte read once and written once, nothing at the same time',
      },
      { what: 'merge / plain Put Pages', value: (merge / plain) * 100, unit: '%', detail: 'in the same run' },
    ];
  });
}

function sequentialWrites(data: Buffer): PlainWrite[] {
  return Array.from({ length: data.length / entryBytes }, (_, index) => {
    const offset = index * entryBytes;
    return { offset, data: data.subarray(offset, offset + entryBytes) };
  });
}

/** MiB/s of writing the data into a new page blob, which is removed again. */
async function plainRate(connectionString: string, data: Buffer, concurrency: number): Promise<number> {
  const container =
    BlobServiceClient.fromConnectionString(connectionString).getContainerClient('bench-plain');
  await container.createIfNotExists();
  const blob = container.getPageBlobClient(`pages-${concurrency}`);
  await blob.create(data.length);
  const offsets = Array.from({ length: data.length / pageWriteBytes }, (_, index) => index * pageWriteBytes);
  const startedAt = performance.now();
  await pMap(
    offsets,
    (offset) => blob.uploadPages(data.subarray(offset, offset + pageWriteBytes), offset, pageWriteBytes),
    { concurrency },
  );
  const seconds = (performance.now() - startedAt) / 1000;
  await blob.delete();
  return data.length / mebibyte / seconds;
}

/** MiB/s of reading the data from a block blob, which is removed again. */
async function plainReadRate(connectionString: string, data: Buffer): Promise<number> {
  const container =
    BlobServiceClient.fromConnectionString(connectionString).getContainerClient('bench-plain');
  const blob = container.getBlockBlobClient('block');
  await blob.upload(data, data.length);
  const startedAt = performance.now();
  await blob.downloadToBuffer(0, data.length, { blockSize: pageWriteBytes, concurrency: readConcurrency });
  const seconds = (performance.now() - startedAt) / 1000;
  await blob.delete();
  return data.length / mebibyte / seconds;
}
