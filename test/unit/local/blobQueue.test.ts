// A failing message can be received again before the attempt that gave it back has ended.
import { QueueServiceClient } from '@azure/storage-queue';
import type { QueueClient } from '@azure/storage-queue';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { BlobFunction } from '../../../local/blob/blobFunction.ts';
import type { BlobMessage } from '../../../local/blob/blobMessage.ts';
import { BlobQueue } from '../../../local/blob/blobQueue.ts';
import { startAzurite } from '../../support/azurite.ts';

const message = (name: string): BlobMessage => ({
  ...{ Type: 'BlobTrigger', FunctionId: 'Host.Functions.f', BlobType: 'BlockBlob' },
  ...{ ContainerName: 'c', BlobName: name },
});

/** The queue as a slow network shows it: the answer to "visible again" comes after the next poll has the message. */
function answeringLate(queue: QueueClient, poll: () => Promise<void>): QueueClient {
  let receivedCount = 0;
  return new Proxy(queue, {
    get(target, property: keyof QueueClient) {
      const method: unknown = Reflect.get(target, property, target);
      if (typeof method !== 'function') return method;
      return async (...args: unknown[]): Promise<unknown> => {
        const answer: unknown = await (method as (...args: unknown[]) => Promise<unknown>).apply(
          target,
          args,
        );
        if (property === 'receiveMessages')
          receivedCount += (answer as { receivedMessageItems: [] }).receivedMessageItems.length;
        if (property === 'updateMessage' && args[3] === 0) {
          const before = receivedCount;
          await poll();
          for (let waited = 0; receivedCount === before && waited < 50; waited++) await pause(20);
        }
        return answer;
      };
    },
  });
}

it('a message that is received again at once is a new attempt, not the old one', async () => {
  const azurite = await startAzurite();
  const queues = QueueServiceClient.fromConnectionString(azurite.connectionString);
  const runs: string[] = [];
  const poll = (): Promise<void> => blobs.send(message('other'));
  const blobFunction = { account: { queues }, loaded: { name: 'f' } } as unknown as BlobFunction;
  const blobs: BlobQueue = new BlobQueue({
    queue: answeringLate(queues.getQueueClient('azure-webjobs-blobtrigger-test'), poll),
    maxDegreeOfParallelism: 4,
    poisonBlobThreshold: 3,
    findFunction: () => blobFunction,
    run: async (_function, { BlobName }) => {
      runs.push(BlobName);
      if (BlobName === 'bad') throw new Error('always');
      return 'done';
    },
    log: () => undefined,
  });
  await blobs.open();
  blobs.start();
  await blobs.send(message('bad'));
  const poison = queues.getQueueClient('webjobs-blobtrigger-poison');
  for (let waited = 0; waited < 600 && !(await poison.exists()); waited++) await pause(50);
  await blobs.stop();
  expect(runs.filter((name) => name === 'bad')).toHaveLength(3);
  await azurite.stop();
});
