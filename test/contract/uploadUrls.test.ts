// What a source host can do with a signed URL, and what not: plain HTTP requests against Azurite.
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { azureStorage, type AzureStorage } from '../../lib/storage/azure/index.ts';
import { connect } from '../../lib/storage/azure/connection.ts';
import { azureSigner } from '../../lib/storage/azure/signer.ts';
import { startAzurite, type RunningAzurite } from '../support/azurite.ts';
import { codeOf, freshName, patternBytes } from './outcomes.ts';

let azurite: RunningAzurite;
let storage: AzureStorage;

beforeAll(async () => {
  azurite = await startAzurite();
  storage = azureStorage({ connectionString: azurite.connectionString });
  await storage.ensureContainers();
});
afterAll(() => azurite.stop());

const inAnHour = () => new Date(Date.now() + 3_600_000);
const page = patternBytes(512, 1);

async function send(
  method: string,
  url: string,
  headers: Record<string, string>,
  body?: Uint8Array,
): Promise<number> {
  const response = await fetch(url, {
    method,
    headers: { 'x-ms-version': '2025-11-05', ...headers },
    body: body ?? null,
  });
  await response.arrayBuffer();
  return response.status;
}
const putPage = (url: string, bytes = page) =>
  send(
    'PUT',
    `${url}&comp=page`,
    { 'x-ms-page-write': 'update', 'x-ms-range': `bytes=0-${bytes.length - 1}` },
    bytes,
  );
const putBlob = (url: string, bytes: Uint8Array) =>
  send('PUT', url, { 'x-ms-blob-type': 'BlockBlob' }, bytes);

describe('replicaWriteUrl', () => {
  test('writes pages until the lease is taken', async () => {
    const name = freshName('disk');
    await storage.replicas.create(name, 4096);
    const url = await storage.signer.replicaWriteUrl(name, inAnHour());
    expect(await putPage(url)).toBe(201);
    await storage.replicas.holdLease(name, crypto.randomUUID());
    expect(await putPage(url, patternBytes(512, 2))).toBe(412);
    expect(await storage.replicas.read(name, { offsetBytes: 0, lengthBytes: 512 })).toEqual(page);
  });

  test('neither reads, nor deletes, nor reaches another blob', async () => {
    const [name, other] = [freshName('disk'), freshName('disk')];
    await storage.replicas.create(name, 4096);
    await storage.replicas.create(other, 4096);
    const url = await storage.signer.replicaWriteUrl(name, inAnHour());
    expect(await send('GET', url, {})).toBe(403);
    expect(await send('DELETE', url, {})).toBe(403);
    expect(await putPage(url.replace(name, other))).toBe(403);
    expect(await storage.replicas.listRanges(other, { offsetBytes: 0, lengthBytes: 4096 })).toEqual([]);
  });
});

describe('deltaCreateUrl', () => {
  test('creates the log once', async () => {
    const name = `${freshName('cycle')}/os disk.hrl`;
    const url = await storage.signer.deltaCreateUrl(name, inAnHour());
    expect(await putBlob(url, patternBytes(100, 1))).toBe(201);
    expect([403, 409]).toContain(await putBlob(url, patternBytes(100, 2)));
    const info = (await storage.deltas.find(name))!;
    const bytes = await storage.deltas.read(name, { offsetBytes: 0, lengthBytes: 100 }, info.etag);
    expect(bytes).toEqual(patternBytes(100, 1));
  });

  test('neither reads, nor deletes, nor creates another log', async () => {
    const name = freshName('log');
    const url = await storage.signer.deltaCreateUrl(name, inAnHour());
    expect(await putBlob(url.replace(name, `${name}-other`), page)).toBe(403);
    expect(await putBlob(url, page)).toBe(201);
    expect(await send('GET', url, {})).toBe(403);
    expect(await send('DELETE', url, {})).toBe(403);
    expect(await storage.deltas.find(`${name}-other`)).toBeUndefined();
  });
});

describe('deltaWriteUrl', () => {
  const putBlock = (url: string, id: string, bytes: Uint8Array) =>
    send('PUT', `${url}&comp=block&blockid=${encodeURIComponent(btoa(id))}`, {}, bytes);
  const commit = (url: string, ids: readonly string[], headers: Record<string, string> = {}) => {
    const latest = ids.map((id) => `<Latest>${btoa(id)}</Latest>`).join('');
    const list = `<?xml version="1.0" encoding="utf-8"?><BlockList>${latest}</BlockList>`;
    return send('PUT', `${url}&comp=blocklist`, headers, new TextEncoder().encode(list));
  };

  test('writes a log in blocks that appear at once, and tells that one is there', async () => {
    const name = freshName('log');
    const url = await storage.signer.deltaWriteUrl(name, inAnHour());
    expect(await putBlock(url, 'b', patternBytes(50, 2))).toBe(201);
    expect(await putBlock(url, 'a', patternBytes(100, 1))).toBe(201);
    expect(await storage.deltas.find(name)).toBeUndefined();
    expect(await commit(url, ['a', 'b'], { 'if-none-match': '*', 'x-ms-meta-kind': 'delta' })).toBe(201);
    const info = (await storage.deltas.find(name))!;
    expect(info.metadata).toEqual({ kind: 'delta' });
    const bytes = await storage.deltas.read(name, { offsetBytes: 0, lengthBytes: 150 }, info.etag);
    expect(Buffer.from(bytes)).toEqual(Buffer.concat([patternBytes(100, 1), patternBytes(50, 2)]));
    expect(await putBlock(url, 'c', patternBytes(10, 3))).toBe(201);
    expect(await commit(url, ['c'], { 'if-none-match': '*' })).toBe(409);
    expect((await storage.deltas.find(name))?.etag).toBe(info.etag);
  });

  test('neither reads, nor deletes, nor reaches another log', async () => {
    const name = freshName('log');
    const url = await storage.signer.deltaWriteUrl(name, inAnHour());
    expect(await putBlock(url.replace(name, `${name}-other`), 'a', page)).toBe(403);
    expect(await send('GET', url, {})).toBe(403);
    expect(await send('DELETE', url, {})).toBe(403);
  });
});

describe('limits', () => {
  test('a URL works in the past of a host whose clock is late, and not after its end', async () => {
    const name = freshName('log');
    const signer = azureSigner(
      connect({ connectionString: azurite.connectionString }),
      () => new Date(Date.now() - 7_200_000),
    );
    const ended = await signer.deltaCreateUrl(name, new Date(Date.now() - 3_600_000));
    expect(await putBlob(ended, page)).toBe(403);
    const ahead = azureSigner(
      connect({ connectionString: azurite.connectionString }),
      () => new Date(Date.now() + 240_000),
    );
    expect(await putBlob(await ahead.deltaCreateUrl(name, inAnHour()), page)).toBe(201);
  });

  test.each([-1000, 0, 8 * 86_400_000, Number.NaN])('a life of %d ms is refused', async (lifeMs) => {
    const expiresAt = new Date(Date.now() + lifeMs);
    expect(await codeOf(storage.signer.deltaCreateUrl('item/log', expiresAt))).toBe('InvalidRequest');
    expect(await codeOf(storage.signer.replicaWriteUrl('', inAnHour()))).toBe('InvalidName');
  });
});

describe('without an account key', () => {
  const credential = {
    getToken: async () => ({ token: 'unused', expiresOnTimestamp: Number.MAX_SAFE_INTEGER }),
  };

  /** A signer whose service hands out delegation keys; the ends of their lives are recorded. */
  function delegatedSigner(now: () => Date) {
    const connection = connect({ accountName: 'account', credential });
    const keyEnds: Date[] = [];
    const isDown = { value: false };
    const blobs = new BlobServiceClient(connection.blobs.url, credential);
    const getKey = async (startsOn: Date, expiresOn: Date) => {
      if (isDown.value) throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
      keyEnds.push(expiresOn);
      const times = { signedStartsOn: startsOn, signedExpiresOn: expiresOn };
      const names = {
        signedObjectId: 'object',
        signedTenantId: 'tenant',
        signedService: 'b',
        signedVersion: '2025-11-05',
      };
      return { ...times, ...names, value: Buffer.from(`key-${keyEnds.length}`).toString('base64') };
    };
    blobs.getUserDelegationKey = getKey as unknown as typeof blobs.getUserDelegationKey;
    return { signer: azureSigner({ ...connection, blobs }, now), keyEnds, isDown };
  }

  test('one delegation key signs many URLs, and is renewed before it ends', async () => {
    const clock = { now: new Date('2026-01-01T00:00:00Z') };
    const { signer, keyEnds } = delegatedSigner(() => clock.now);
    const later = (hours: number) => new Date(clock.now.getTime() + hours * 3_600_000);
    const urls = await Promise.all(
      [1, 2, 3].map((hours) => signer.replicaWriteUrl('item/os.vhd', later(hours))),
    );
    expect(keyEnds).toHaveLength(1);
    for (const url of urls) {
      const query = new URL(url).searchParams;
      expect(url.startsWith('https://account.blob.core.windows.net/replicas/item/os.vhd?')).toBe(true);
      expect(Object.fromEntries(query)).toMatchObject({
        sp: 'w',
        sr: 'b',
        spr: 'https',
        skoid: 'object',
        sv: '2025-11-05',
      });
      expect(query.get('st')).toBe('2025-12-31T23:55:00Z');
      expect(new Date(query.get('se')!) <= keyEnds[0]!).toBe(true);
    }
    clock.now = new Date('2026-01-01T23:30:00Z');
    const renewed = await signer.deltaCreateUrl('item/log', later(1));
    expect(keyEnds).toHaveLength(2);
    expect(new URL(renewed).searchParams.get('sp')).toBe('c');
    expect(keyEnds[1]! >= later(1)).toBe(true);
  });

  test('a failure to get the key is reported and not kept', async () => {
    const { signer, isDown } = delegatedSigner(() => new Date());
    isDown.value = true;
    expect(await codeOf(signer.deltaCreateUrl('item/log', inAnHour()))).toBe('StorageUnavailable');
    isDown.value = false;
    expect(await codeOf(signer.deltaCreateUrl('item/log', inAnHour()))).toBe('ok');
  });
});
