// How long a failover takes until its disks are ready, on Azurite: beside plain 4 MiB page writes of the same bytes.
import { randomBytes } from 'node:crypto';
import { noFaults } from '../../lib/faults/points.ts';
import { makeRecoveryDisk } from '../../lib/recovery/recoveryDisk.ts';
import { azureStorage } from '../../lib/storage/azure/index.ts';
import type { Storage } from '../../lib/storage/ports.ts';
import { startAzurite } from '../../test/support/azurite.ts';
import { snapshotDisk } from '../../test/support/snapshotDisk.ts';
import type { BenchGroup, Measurement } from '../measurements.ts';
import { benchTestFailover } from './testFailover.ts';

const mebibyte = 2 ** 20;
const pieceBytes = 4 * mebibyte;

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};

/** The ceiling: the same bytes written to a new page blob, four requests at a time. */
async function plainWrites(storage: Storage, sizeBytes: number, data: Uint8Array): Promise<void> {
  const name = `bench/${String(Date.now())}.vhd`;
  await storage.recovered.create(name, sizeBytes);
  let next = 0;
  const work = async (): Promise<void> => {
    for (let offset = next; offset < sizeBytes; offset = next) {
      next += pieceBytes;
      await storage.recovered.writePages(name, offset, data);
    }
  };
  await Promise.all([work(), work(), work(), work()]);
  await storage.recovered.delete(name);
}

async function measure(storage: Storage, sizeBytes: number, filledBytes: number): Promise<Measurement[]> {
  const data = randomBytes(pieceBytes);
  const pieces = Array.from({ length: filledBytes / pieceBytes }, (_, index) => ({
    offsetBytes: index * pieceBytes,
    bytes: data,
  }));
  const { order } = await snapshotDisk(storage, sizeBytes, pieces);
  const context = { storage, fault: noFaults, clock: { now: () => new Date() } };
  const seconds = await timed(() => makeRecoveryDisk(context, order));
  const ceiling = await timed(() => plainWrites(storage, filledBytes, data));
  const what = `disk of ${sizeBytes / mebibyte} MiB, ${filledBytes / mebibyte} MiB filled: recovery point to disk ready`;
  const detail = `copied, read back on both sides and compared; ${(seconds / ceiling).toFixed(2)} × the time of plain page writes of the filled bytes`;
  return [{ what, value: seconds, unit: 's', detail }];
}

export const recoveryBench: BenchGroup = {
  what: 'from a recovery point to disks that are ready, on Azurite',
  async run(progress) {
    const azurite = await startAzurite();
    try {
      const storage = azureStorage({ connectionString: azurite.connectionString });
      await storage.ensureContainers();
      const results: Measurement[] = [];
      for (const filled of [128, 1024]) {
        progress(`a disk of 1 GiB, ${filled} MiB filled`);
        results.push(...(await measure(storage, 1024 * mebibyte, filled * mebibyte)));
      }
      return [...results, ...(await benchTestFailover(progress, 1024))];
    } finally {
      await azurite.stop();
    }
  },
};
