// Blob functions: every upload reaches every function, as a client or as bytes; what always fails is put aside.
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { describe, expect } from 'vitest';
import type { Effect } from '../effects.ts';
import { type Access, eventually, holds } from './case.ts';

const trigger = 'Azure Blob storage trigger for Azure Functions';
const poison = 'Azure Blob storage trigger for Azure Functions, "Poison blobs"';
const sdkTypes = 'Azure Blob storage trigger for Azure Functions, "SDK types"';

interface Detail {
  isBytes: boolean;
  text: string;
  blobName: string;
  blobTrigger: string;
  uri: string;
  contentLength: number;
  metadata: Record<string, string>;
}

export function blobCases(access: Access): void {
  describe('blobs', () => {
    const upload = async (
      name: string,
      text: string,
      metadata: Record<string, string> = {},
    ): Promise<string> => {
      const { target, effects } = access();
      const service = BlobServiceClient.fromConnectionString(target.storageConnectionString);
      const container = service.getContainerClient('conformance');
      await container.createIfNotExists();
      const blob = container.getBlockBlobClient(`${effects.table}/${name}`);
      await blob.upload(text, Buffer.byteLength(text), { metadata });
      return blob.name;
    };
    const seen = (key: string, isWanted: (effects: Effect<Detail>[]) => boolean): Promise<Effect<Detail>[]> =>
      eventually(`effects of ${key}`, async () => {
        const found = await access().effects.of<Detail>(key);
        return isWanted(found) ? found : undefined;
      });

    holds('an upload reaches the handler as bytes, with its properties and metadata', trigger, async () => {
      const name = access().unique('report');
      const blobName = await upload(name, 'the content', { owner: 'ada' });
      const [effect] = await seen(`bytes-${name}`, ({ length }) => length > 0);
      expect(effect?.detail).toMatchObject({
        ...{ isBytes: true, text: 'the content', contentLength: 11, metadata: { owner: 'ada' } },
        ...{ blobTrigger: `conformance/${blobName}` },
      });
      expect(new URL(effect?.detail.uri ?? '').pathname).toMatch(new RegExp(`/conformance/${blobName}$`));
    });

    holds(
      'with sdkBinding the handler gets what the app’s factory makes, and no bytes',
      sdkTypes,
      async () => {
        const name = access().unique('referenced');
        const blobName = await upload(name, 'read through the client');
        const [effect] = await seen(`client-${name}`, ({ length }) => length > 0);
        expect(effect?.detail).toEqual({ isBytes: false, text: 'read through the client', blobName });
      },
    );

    holds('a blob that is written again runs the functions again', trigger, async () => {
      const name = access().unique('again');
      for (const text of ['first', 'second']) {
        await upload(name, text);
        await seen(`bytes-${name}`, (effects) => effects.some(({ detail }) => detail.text === text));
      }
    });

    holds('of many uploads at the same time none is missed', trigger, async () => {
      const names = Array.from({ length: 30 }, () => access().unique('many'));
      await Promise.all(names.map((name) => upload(name, name)));
      for (const name of names) {
        const [effect] = await seen(`bytes-${name}`, ({ length }) => length > 0);
        expect(effect?.detail.text).toBe(name);
      }
    });

    holds(
      'a blob that always fails is tried as host.json says, then becomes a poison message',
      poison,
      async () => {
        const name = access().unique('poison');
        const blobName = await upload(name, 'x');
        const queues = QueueServiceClient.fromConnectionString(access().target.storageConnectionString);
        const queue = queues.getQueueClient('webjobs-blobtrigger-poison');
        const message = await eventually('a poison message', async () => {
          if (!(await queue.exists())) return undefined;
          const { peekedMessageItems } = await queue.peekMessages({ numberOfMessages: 32 });
          const messages = peekedMessageItems.map(
            ({ messageText }) =>
              JSON.parse(Buffer.from(messageText, 'base64').toString()) as Record<string, unknown>,
          );
          return messages.find((one) => one['BlobName'] === blobName);
        });
        expect(message).toMatchObject({
          FunctionId: 'Host.Functions.blobBytes',
          ContainerName: 'conformance',
        });
        expect(await access().effects.of(`bytes-${name}`)).toHaveLength(3);
      },
    );
  });
}
