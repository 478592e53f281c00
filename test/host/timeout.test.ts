// Invocations that take longer than `functionTimeout`: each trigger sees a failure, and the host goes on.
import { BlobServiceClient } from '@azure/storage-blob';
import { beforeAll, expect, it } from 'vitest';
import { type ReadyHost, startHost, timeoutApp, untilSaid, waitFor } from './startHost.ts';

let host: ReadyHost;
beforeAll(async () => {
  host = await startHost({ app: timeoutApp });
});

async function runs(): Promise<{ blobRuns: number; timerRuns: number }> {
  return (await (await fetch(`${host.url}/api/runs`)).json()) as { blobRuns: number; timerRuns: number };
}

it('an HTTP function answers 500, and the log says why', async () => {
  const response = await fetch(`${host.url}/api/hang`);
  expect([response.status, await response.text()]).toEqual([500, '']);
  await untilSaid(host, /crit .*Timeout value of 0\.5 s was exceeded by function: hang\./);
});

it('a blob function runs again', async () => {
  const service = BlobServiceClient.fromConnectionString(host.local.storageConnectionString);
  const container = service.getContainerClient('slow');
  await container.createIfNotExists();
  await container.getBlockBlobClient('x').upload('x', 1);
  await waitFor(async () => (await runs()).blobRuns === 2);
  await untilSaid(host, 'hangsOnce failed for slow/x, attempt 1 of 5');
});

it('a timer function is retried under its policy', async () => {
  await fetch(`${host.url}/admin/functions/hangsOnceToo`, { method: 'POST' });
  await waitFor(async () => (await runs()).timerRuns === 2);
});
