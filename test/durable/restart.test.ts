// What survives the end of a host: stop, then a new host on the same storage. Also what happens when the storage fails or lies.
import { TableClient } from '@azure/data-tables';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { activityRuns, closeGate, DurableTestBed } from './durableTestBed.ts';

let bed: DurableTestBed;
beforeAll(async () => {
  bed = await DurableTestBed.create();
});
beforeEach(async () => {
  await bed.startHost({ stopTimeoutMs: 50 });
});
afterAll(() => bed.close());

async function restartHost(): Promise<void> {
  await bed.host?.stop();
  await bed.startHost({ stopTimeoutMs: 50 });
}

test('waiting instances, buffered events, timers and suspended instances go on', async () => {
  const waiting = await bed.start('collect', { count: 3 });
  const timed = await bed.start('timed', { delayMs: 400 });
  const deadline = await bed.start('approval', { timeoutMs: 3_600_000 });
  const suspended = await bed.start('collect', { count: 1 });
  await bed.post(`instances/${waiting}/raiseEvent/item`, 1);
  await bed.post(`instances/${suspended}/suspend`);
  await bed.post(`instances/${suspended}/raiseEvent/item`, 'kept');
  await restartHost();
  await bed.post(`instances/${waiting}/raiseEvent/item`, 2);
  await restartHost();
  await bed.post(`instances/${waiting}/raiseEvent/item`, 3);
  await bed.post(`instances/${deadline}/raiseEvent/approve`, 'late');
  expect((await bed.finish(waiting)).output).toEqual([1, 2, 3]);
  expect((await bed.finish(timed)).output).toBeGreaterThanOrEqual(400);
  expect((await bed.finish(deadline)).output).toMatchObject({ payload: 'late' });
  expect((await bed.status(suspended)).runtimeStatus).toBe('Suspended');
  await bed.post(`instances/${suspended}/resume`);
  expect((await bed.finish(suspended)).output).toEqual(['kept']);
});

test('an activity that a stop cuts off runs again, and the late end of the first run changes nothing', async () => {
  const openFirst = closeGate('cut');
  const id = await bed.start('gatedOnce', { key: 'cut' });
  while (!activityRuns().includes('start cut')) await new Promise((resolve) => setTimeout(resolve, 5));
  await bed.host?.stop();
  const openSecond = closeGate('cut');
  await bed.startHost();
  openFirst();
  while (!activityRuns().includes('end cut')) await new Promise((resolve) => setTimeout(resolve, 5));
  expect((await bed.status(id)).runtimeStatus).toBe('Running');
  openSecond();
  expect((await bed.finish(id)).output).toBe('cut');
  expect(activityRuns().filter((run) => run === 'start cut')).toHaveLength(2);
});

test('a stopped host answers 503 and takes nothing', async () => {
  await bed.host?.stop();
  expect((await bed.post('orchestrators/sequence/after-stop', { keys: [] })).status).toBe(503);
  await bed.host?.stop();
  await bed.startHost();
  expect((await bed.request('instances/after-stop')).status).toBe(404);
});

test('more waiting instances than are held in memory still get their events', async () => {
  const ids = await Promise.all(
    Array.from({ length: 210 }, (_, i) => bed.start('collect', { count: 2 }, `many-${i}`)),
  );
  await Promise.all(ids.map((id) => bed.post(`instances/${id}/raiseEvent/item`, id)));
  await Promise.all(ids.map((id) => bed.post(`instances/${id}/raiseEvent/item`, 'second')));
  const outputs: unknown[] = [];
  for (const id of ids) outputs.push((await bed.finish(id)).output);
  expect(outputs).toEqual(ids.map((id) => [id, 'second']));
});

test('an instance whose row was changed by somebody else is read again, not overwritten', async () => {
  const id = await bed.start('collect', { count: 1 });
  await bed.until(id, ({ runtimeStatus }) => runtimeStatus === 'Running');
  const rows = TableClient.fromConnectionString(bed.azurite.connectionString, 'TestHubInstances', {
    allowInsecureConnection: true,
  });
  await rows.updateEntity({ partitionKey: id, rowKey: '', CustomStatus: '"by somebody else"' }, 'Merge');
  await bed.post(`instances/${id}/raiseEvent/item`, 'x');
  expect(await bed.finish(id)).toMatchObject({ output: ['x'], customStatus: 'by somebody else' });
  expect(bed.logLines.some((line) => line.includes(`Instance ${id}`) && line.includes('loaded again'))).toBe(
    true,
  );
});

test('an instance whose large input is lost fails and says so', async () => {
  const id = await bed.start('collect', { count: 1, ballast: 'x'.repeat(40_000) });
  await bed.until(id, ({ runtimeStatus }) => runtimeStatus === 'Running');
  await bed.host?.stop();
  const blobs = BlobServiceClient.fromConnectionString(bed.azurite.connectionString).getContainerClient(
    'testhub-largemessages',
  );
  for await (const blob of blobs.listBlobsFlat({ prefix: `${id}/` })) await blobs.deleteBlob(blob.name);
  await bed.startHost();
  const { runtimeStatus, output } = await bed.finish(id);
  expect([runtimeStatus, output]).toEqual([
    'Failed',
    expect.stringMatching(/Part of its committed state .* is missing/),
  ]);
});

test('a hub name that storage cannot take is refused', async () => {
  await expect(bed.startHost({ hubName: 'my-hub' })).rejects.toThrow(
    /Task hub name 'my-hub' is not valid: use 3 to 45 letters and digits/,
  );
});
