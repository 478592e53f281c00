// From the answer to an upload until the function that it triggers runs; both clocks are this machine's.
import { BlobServiceClient } from '@azure/storage-blob';
import { setTimeout as sleep } from 'node:timers/promises';
import { Effects } from '../../test/conformance/effects.ts';
import { conformanceApp, withHost } from '../hostSession.ts';
import { median, type Measurement, quantile } from '../measurements.ts';

const uploadCount = 50;
const pauseMs = 150;
const waitMs = 60_000;

export function benchBlobTrigger(progress: (line: string) => void): Promise<Measurement[]> {
  return withHost(conformanceApp, async ({ address }) => {
    progress(`${uploadCount} uploads`);
    const effects = new Effects(address.storageConnectionString, 'BenchBlobs');
    const service = BlobServiceClient.fromConnectionString(address.storageConnectionString);
    const container = service.getContainerClient('conformance');
    await container.createIfNotExists();
    const uploadedAtMs = new Map<string, number>();
    const upload = async (name: string): Promise<void> => {
      await container.getBlockBlobClient(`${effects.table}/${name}`).upload(name, name.length);
      uploadedAtMs.set(`bytes-${name}`, Date.now());
    };
    // The first one makes the table.
    await upload('warm');
    await startTimes(effects, 1);
    for (let index = 0; index < uploadCount; index++) {
      await upload(`blob${index}`);
      await sleep(pauseMs);
    }
    const started = await startTimes(effects, uploadCount + 1);
    started.delete('bytes-warm');
    // A function may start before the answer to the upload is back here.
    const latenciesMs = [...started].map(([key, atMs]) =>
      Math.max(0, atMs - (uploadedAtMs.get(key) ?? atMs)),
    );
    const detail = `${uploadCount} uploads`;
    return [
      { what: 'blob upload to function (median)', value: median(latenciesMs), unit: 'ms', detail },
      {
        what: 'blob upload to function (95th percentile)',
        value: quantile(latenciesMs, 0.95),
        unit: 'ms',
        detail,
      },
    ];
  });
}

/** When the function with the bytes first started for each blob, as soon as `count` blobs have been seen. */
async function startTimes(effects: Effects, count: number): Promise<Map<string, number>> {
  const deadline = Date.now() + waitMs;
  for (;;) {
    const started = new Map<string, number>();
    for (const { key, detail } of await effects.all()) {
      const { startedAtMs } = detail as { startedAtMs?: number };
      if (startedAtMs !== undefined) started.set(key, Math.min(startedAtMs, started.get(key) ?? startedAtMs));
    }
    if (started.size >= count) return started;
    if (Date.now() > deadline) throw new Error(`Of ${count} blobs ${started.size} reached their function.`);
    await sleep(200);
  }
}
