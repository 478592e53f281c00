// Uploads through really signed URLs into Azurite: what lies there afterwards, and which error says why it does not.
import { createHash, randomBytes } from 'node:crypto';
import { BlobServiceClient } from '@azure/storage-blob';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uploadLog } from '../../../agent/upload/uploadLog.ts';
import { uploadReplica, type UploadUrl } from '../../../agent/upload/uploadReplica.ts';
import { memorySource, type RandomAccessSource } from '../../../lib/disk/source.ts';
import { azureStorage } from '../../../lib/storage/azure/index.ts';
import { startAzurite, type RunningAzurite } from '../../support/azurite.ts';

const mib = 1024 * 1024;
const inAnHour = (): Date => new Date(Date.now() + 3_600_000);
let azurite: RunningAzurite;
let storage: ReturnType<typeof azureStorage>;
let names = 0;

beforeAll(async () => {
  azurite = await startAzurite();
  storage = azureStorage({ connectionString: azurite.connectionString });
  await storage.ensureContainers();
});
afterAll(() => azurite.stop());

async function newReplica(sizeBytes: number): Promise<string> {
  const name = `item/disk-${++names}.vhd`;
  await storage.replicas.create(name, sizeBytes);
  return name;
}

const urlFor =
  (name: string, expiresAt = inAnHour()) =>
  async (): Promise<UploadUrl> => ({ url: await storage.signer.replicaWriteUrl(name, expiresAt), expiresAt });
const readAll = async (name: string, lengthBytes: number): Promise<Buffer> =>
  Buffer.from(await storage.replicas.read(name, { offsetBytes: 0, lengthBytes }));

describe('uploadReplica', () => {
  it('copies a disk that is no multiple of the write size and leaves the rest of the blob alone', async () => {
    const disk = randomBytes(9 * mib + 512);
    const name = await newReplica(10 * mib + 512);
    await storage.replicas.writePages(name, 10 * mib, Buffer.alloc(512, 7));
    const done: number[] = [];
    const result = await uploadReplica({
      source: memorySource(disk),
      getUploadUrl: urlFor(name),
      onProgress: (bytes) => done.push(bytes),
    });
    expect(result).toEqual({
      ...{ diskBytes: disk.length, writtenBytes: disk.length },
      ...{ writeRequests: 3, resumedBytes: 0 },
    });
    expect(done.at(-1)).toBe(disk.length);
    const blob = await readAll(name, 10 * mib + 512);
    expect(blob.subarray(0, disk.length).equals(disk)).toBe(true);
    expect(blob.subarray(10 * mib).equals(Buffer.alloc(512, 7))).toBe(true);
  });

  it('asks for a new URL when the old one is about to expire', async () => {
    const disk = randomBytes(9 * mib);
    const name = await newReplica(9 * mib + 512);
    let asked = 0;
    await uploadReplica({
      source: memorySource(disk),
      concurrency: 1,
      getUploadUrl: async () => ({
        ...(await urlFor(name)()),
        expiresAt: new Date(Date.now() + (++asked < 3 ? 0 : 3_600_000)),
      }),
    });
    expect(asked).toBe(3);
    expect((await readAll(name, 9 * mib)).equals(disk)).toBe(true);
  });

  it('a second upload stops the first one, and the second is what remains', async () => {
    const [first, second] = [Buffer.alloc(12 * mib, 1), Buffer.alloc(12 * mib, 2)];
    const name = await newReplica(12 * mib + 512);
    const overtaken: RandomAccessSource = {
      sizeBytes: first.length,
      async read(offsetBytes, lengthBytes) {
        // The other upload happens between two writes of this one.
        if (offsetBytes === 4 * mib)
          await uploadReplica({ source: memorySource(second), getUploadUrl: urlFor(name) });
        return first.subarray(offsetBytes, offsetBytes + lengthBytes);
      },
    };
    const slow = uploadReplica({ source: overtaken, concurrency: 1, getUploadUrl: urlFor(name) });
    await expect(slow).rejects.toMatchObject({ code: 'UploadSuperseded' });
    expect((await readAll(name, 12 * mib)).equals(second)).toBe(true);
  });

  it('is refused when the replica is sealed, gone, or the URL is of another blob', async () => {
    const source = memorySource(randomBytes(mib));
    const sealed = await newReplica(mib + 512);
    await storage.replicas.holdLease(sealed, '11111111-2222-3333-4444-555555555555');
    const other = await newReplica(mib + 512);
    const forged = async (): Promise<UploadUrl> => {
      const { url, expiresAt } = await urlFor(other)();
      return { url: url.replace(other, sealed), expiresAt };
    };
    for (const getUploadUrl of [urlFor(sealed), urlFor('item/gone.vhd'), forged]) {
      const error: unknown = await uploadReplica({ source, getUploadUrl }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'UploadRefused' });
      expect(`${(error as Error).message}${(error as Error).stack ?? ''}`).not.toContain('sig=');
    }
    expect((await readAll(sealed, mib)).equals(Buffer.alloc(mib))).toBe(true);
  });

  it('refuses a source that is not made of sectors before it sends anything', async () => {
    const getUploadUrl = (): Promise<UploadUrl> => Promise.reject(new Error('asked for a URL'));
    for (const bytes of [0, 1000])
      await expect(
        uploadReplica({ source: memorySource(Buffer.alloc(bytes)), getUploadUrl }),
      ).rejects.toMatchObject({
        code: 'DiskSizeMismatch',
      });
  });

  it('an abort stops it with the reason of the signal', async () => {
    const controller = new AbortController();
    const name = await newReplica(64 * mib + 512);
    const reason = new Error('the user stopped it');
    const upload = uploadReplica({
      source: memorySource(Buffer.alloc(64 * mib, 1)),
      getUploadUrl: urlFor(name),
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await expect(upload).rejects.toBe(reason);
    expect((await readAll(name, 64 * mib)).equals(Buffer.alloc(64 * mib, 1))).toBe(false);
  });
});

describe('uploadLog', () => {
  const send = async (name: string, bytes: Uint8Array): Promise<void> =>
    uploadLog({
      source: memorySource(bytes),
      uploadUrl: await storage.signer.deltaCreateUrl(name, inAnHour()),
      statement: {
        sha256: createHash('sha256').update(bytes).digest('hex'),
        takenAt: new Date('2026-01-02T03:04:05Z'),
        consistency: 'application',
      },
    });

  it('streams a large log as one blob with its metadata, through a URL that may only create', async () => {
    const bytes = randomBytes(70 * mib + 13);
    const name = 'item/000000000001/large.hrl';
    await send(name, bytes);
    const client = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient(
      'deltas',
    );
    const blob = client.getBlobClient(name);
    expect((await blob.downloadToBuffer()).equals(bytes)).toBe(true);
    expect((await blob.getProperties()).metadata).toEqual({
      sha256: createHash('sha256').update(bytes).digest('hex'),
      takenat: '2026-01-02T03:04:05.000Z',
      consistency: 'application',
      kind: 'delta',
    });
  });

  it('says that the log is there already, and leaves it', async () => {
    const name = 'item/000000000002/twice.hrl';
    await send(name, Buffer.from('first'));
    await expect(send(name, Buffer.from('other'))).rejects.toMatchObject({ code: 'LogExists' });
    const info = await storage.deltas.find(name);
    expect(info?.sizeBytes).toBe(5);
  });

  it('does not show the signed URL when the service is gone', async () => {
    const uploadUrl = 'http://127.0.0.1:9/devstoreaccount1/deltas/a?sig=secretsignature';
    const signal = AbortSignal.timeout(300);
    const source = memorySource(Buffer.from('x'));
    const error: unknown = await uploadLog({ source, uploadUrl, statement: { sha256: '0' }, signal }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(Error);
    expect(`${(error as Error).message}${(error as Error).stack ?? ''}`).not.toContain('secretsignature');
  });
});
