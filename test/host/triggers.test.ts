// Timer and blob triggers, seen through what the fixture's handlers recorded and what is left in storage.
import { BlobServiceClient, type BlockBlobUploadOptions } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  type Observation,
  type ReadyHost,
  observationsOf,
  startHost,
  untilSaid,
  waitFor,
} from './startHost.ts';

let host: ReadyHost;
let blobs: BlobServiceClient;
let queues: QueueServiceClient;

beforeAll(async () => {
  host = await startHost({ env: { 'AzureWebJobs.disabled.Disabled': 'true' } });
  blobs = BlobServiceClient.fromConnectionString(host.local.storageConnectionString);
  queues = QueueServiceClient.fromConnectionString(host.local.storageConnectionString);
});

async function upload(
  container: string,
  name: string,
  text: string,
  options?: BlockBlobUploadOptions,
): Promise<string> {
  const client = blobs.getContainerClient(container);
  await client.createIfNotExists();
  const { etag } = await client.getBlockBlobClient(name).upload(text, text.length, options);
  return etag ?? '';
}

/** Waits for `count` observations that satisfy `isWanted`. */
function seen(
  kind: string,
  isWanted: (observation: Observation) => boolean,
  count = 1,
): Promise<Observation[]> {
  return waitFor(async () => {
    const found = (await observationsOf(host, kind)).filter(isWanted);
    return found.length >= count ? found : undefined;
  });
}

async function runByName(name: string, input?: string): Promise<number> {
  const body = JSON.stringify({ input });
  return (await fetch(`${host.url}/admin/functions/${name}`, { method: 'POST', body })).status;
}

async function namesIn(prefix: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of blobs.getContainerClient('azure-webjobs-hosts').listBlobsFlat({ prefix }))
    names.push(name);
  return names;
}

describe('timers', () => {
  it('run on request, with the status of the monitor', async () => {
    expect(await runByName('tick')).toBe(202);
    const [tick] = await seen('tick', () => true);
    expect(tick).toMatchObject({
      timer: { isPastDue: false, schedule: { adjustForDST: true } },
      retryContext: null,
    });
    const { scheduleStatus } = tick?.['timer'] as { scheduleStatus: { last: string; next: string } };
    expect(scheduleStatus.last).toBe('0001-01-01T00:00:00');
    expect(new Date(scheduleStatus.next).toISOString()).toMatch(/-01-01T03:00:00\.000Z$/);
  });

  it('keep their status in a blob named as the real host’s', async () => {
    const name = 'timers/host-fixture/Host.Functions.tick/status';
    const blob = await blobs.getContainerClient('azure-webjobs-hosts').getBlobClient(name).downloadToBuffer();
    expect(Object.keys(JSON.parse(blob.toString()) as object)).toEqual(['Last', 'Next', 'LastUpdated']);
  });

  it('have no monitor when they run more often than once a minute', async () => {
    const [run] = await seen('eachSecond', () => true);
    expect(run?.['timer']).toMatchObject({ scheduleStatus: null });
    expect(await namesIn('timers/host-fixture/Host.Functions.eachSecond')).toEqual([]);
  });

  it('are retried by the host under their retry policy', async () => {
    await runByName('flaky');
    const runs = await seen('flaky', () => true, 3);
    expect(runs.map(({ retryContext }) => retryContext)).toEqual([
      null,
      {
        retryCount: 1,
        maxRetryCount: 2,
        exception: expect.objectContaining({ message: 'flaky fails' }) as unknown,
      },
      {
        retryCount: 2,
        maxRetryCount: 2,
        exception: expect.objectContaining({ message: 'flaky fails' }) as unknown,
      },
    ]);
  });

  it('do not run when disabled or in error', async () => {
    await seen('eachSecond', () => true, 2);
    expect(await observationsOf(host, 'disabled')).toEqual([]);
    await untilSaid(host, 'The function "badSchedule" is in error');
  });
});

describe('blobs', () => {
  it('reach a handler as a client or as bytes, with their metadata', async () => {
    const etag = await upload('inbox', 'a/b/report.2024.txt', 'the content', {
      metadata: { owner: 'Ada' },
      blobHTTPHeaders: { blobContentType: 'text/plain' },
    });
    const isReport = ({ blobTrigger }: Observation): boolean => blobTrigger === 'inbox/a/b/report.2024.txt';
    const [[client], [bytes]] = await Promise.all([
      seen('blobClient', isReport),
      seen('blobBytes', isReport),
    ]);
    const metadata = {
      uri: `${blobs.url}/inbox/a/b/report.2024.txt`,
      contentLength: 11,
      contentType: 'text/plain',
      eTag: etag,
      metadata: { owner: 'Ada' },
      // Greedy, and across slashes.
      params: { dir: 'a/b', name: 'report.2024', ext: 'txt' },
    };
    const blob = {
      isClient: true,
      Connection: 'FIXTURE_DATA',
      ContainerName: 'inbox',
      BlobName: 'a/b/report.2024.txt',
    };
    expect(client).toMatchObject({ blob: { ...blob, version: '1.0' }, ...metadata });
    expect(bytes).toMatchObject({ isBuffer: true, text: 'the content', ...metadata });
  });

  it('run again for a new version, and once for each', async () => {
    const isMine = ({ blobTrigger }: Observation): boolean => blobTrigger === 'inbox/again/x.txt';
    const etags: string[] = [];
    for (const text of ['first', 'second']) {
      etags.push(await upload('inbox', 'again/x.txt', text));
      await seen('blobBytes', (observation) => isMine(observation) && observation['text'] === text);
    }
    expect((await seen('blobBytes', isMine)).map(({ eTag }) => eTag)).toEqual(etags);
    const receipts = await waitFor(async () => {
      const names = (await namesIn('blobreceipts/host-fixture/Host.Functions.blobBytes/')).filter((name) =>
        name.includes('again'),
      );
      return names.length === 2 && names;
    });
    const expected = etags.map((etag) => `${etag.replaceAll('"', '')}/inbox/again/x.txt`);
    expect(receipts.map((name) => name.split('/').slice(3).join('/')).sort()).toEqual(expected.sort());
  });

  it('are all seen when many come at once', async () => {
    const count = 60;
    await Promise.all(
      Array.from({ length: count }, (_, index) => upload('inbox', `many/${index}.bin`, String(index))),
    );
    const isMine = ({ blobTrigger }: Observation): boolean => String(blobTrigger).startsWith('inbox/many/');
    const found = await seen('blobBytes', isMine, count);
    expect(new Set(found.map(({ text }) => text)).size).toBe(count);
  });

  it('that always fail are tried as often as host.json says, then moved to the poison queue', async () => {
    const etag = await upload('broken', '2024', 'x');
    const poison = queues.getQueueClient('webjobs-blobtrigger-poison');
    const message = await waitFor(async () => {
      try {
        return (await poison.peekMessages()).peekedMessageItems[0];
      } catch {
        return undefined;
      }
    });
    expect(JSON.parse(Buffer.from(message.messageText, 'base64').toString())).toEqual({
      Type: 'BlobTrigger',
      FunctionId: 'Host.Functions.blobPoison',
      BlobType: 'BlockBlob',
      ContainerName: 'broken',
      BlobName: '2024',
      ETag: expect.stringContaining(etag.replaceAll('"', '')) as unknown,
    });
    expect(await observationsOf(host, 'blobPoison')).toHaveLength(3);
    const queue = queues.getQueueClient('azure-webjobs-blobtrigger-host-fixture');
    await waitFor(async () => (await queue.getProperties()).approximateMessagesCount === 0);
  });

  it('run on request by path', async () => {
    await upload('inbox', 'asked/for.txt', 'asked');
    const isMine = ({ blobTrigger }: Observation): boolean => blobTrigger === 'inbox/asked/for.txt';
    await seen('blobBytes', isMine);
    expect(await runByName('blobBytes', 'inbox/asked/for.txt')).toBe(202);
    await seen('blobBytes', isMine, 2);
    expect(await runByName('blobBytes')).toBe(400);
  });
});

describe('Event Grid', () => {
  const post = (functionName: string, body: unknown): Promise<Response> =>
    fetch(`${host.url}/runtime/webhooks/blobs?functionName=${functionName}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });

  it('shakes hands', async () => {
    const event = {
      eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
      data: { validationCode: 'abc' },
    };
    const response = await post('Host.Functions.blobEvent', [event]);
    expect(await response.json()).toEqual({ validationResponse: 'abc' });
  });

  it('runs the function for each BlobCreated event, and without events too', async () => {
    await upload('events', 'e1', 'scanned');
    await seen('blobEvent', ({ text }) => text === 'scanned');
    const event = {
      eventType: 'Microsoft.Storage.BlobCreated',
      data: { url: `${blobs.url}/events/e1`, blobType: 'BlockBlob' },
    };
    expect((await post('Host.Functions.blobEvent', [event])).status).toBe(202);
    await seen('blobEvent', ({ name }) => name === 'e1', 2);
  });

  it.each([
    ['unknownFunction', [], 404],
    ['Host.Functions.blobEvent', 'no event', 400],
  ])('refuses %s with %j', async (name, body, status) => {
    expect((await post(name, body)).status).toBe(status);
  });
});
