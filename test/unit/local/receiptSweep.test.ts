// Receipts of blobs that are gone are removed; all others stay, whatever is written while a listing runs.
import type { ContainerClient } from '@azure/storage-blob';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BlobReceipts } from '../../../local/blob/blobReceipts.ts';
import { ReceiptSweep } from '../../../local/blob/receiptSweep.ts';

/** The part of a container that receipts use, in memory; `names` is what it holds. */
function memoryContainer(): { container: ContainerClient; names: Set<string> } {
  const names = new Set<string>();
  const container = {
    getBlockBlobClient: (name: string) => ({ upload: async () => names.add(name) }),
    getBlobClient: (name: string) => ({ deleteIfExists: async () => names.delete(name) }),
  };
  return { container: container as unknown as ContainerClient, names };
}

it('keeps the receipts of what is there, of other containers and functions, and of what came meanwhile', async () => {
  const { container, names } = memoryContainer();
  const receipts = new BlobReceipts(container, 'host');
  for (const functionName of ['f', 'g', 'other']) {
    for (const [place, blob] of [
      ['inbox', 'there'],
      ['inbox', 'gone'],
      ['inbox', 'dir/inbox/gone'],
      ['inbox2', 'gone'],
    ])
      await receipts.add(functionName, { container: place!, blob: blob!, etag: '"0x1"' });
  }
  await receipts.add('f', { container: 'inbox', blob: 'changed', etag: '"0x1"' });
  const sweep = new ReceiptSweep(receipts, ['f', 'g'], 'inbox');
  await receipts.add('f', { container: 'inbox', blob: 'late', etag: '"0x1"' });
  sweep.see('there', '0x1');
  sweep.see('changed', '0x2');
  expect(await sweep.finish()).toBe(5);
  const left = [...names].map((name) => name.replace('blobreceipts/host/Host.Functions.', '')).sort();
  expect(left).toEqual([
    'f/0x1/inbox/late',
    'f/0x1/inbox/there',
    'f/0x1/inbox2/gone',
    'g/0x1/inbox/there',
    'g/0x1/inbox2/gone',
    'other/0x1/inbox/dir/inbox/gone',
    'other/0x1/inbox/gone',
    'other/0x1/inbox/there',
    'other/0x1/inbox2/gone',
  ]);
  expect(receipts.has('f', { container: 'inbox', blob: 'gone', etag: '0x1' })).toBe(false);
});

it('never forgets a version that the listing shows', async () => {
  const blobNames = fc.stringMatching(/^[a-c/]{1,4}$/);
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(blobNames), fc.uniqueArray(blobNames), async (noted, listed) => {
      const { container } = memoryContainer();
      const receipts = new BlobReceipts(container, 'host');
      for (const blob of noted) await receipts.add('f', { container: 'c', blob, etag: 'e' });
      const sweep = new ReceiptSweep(receipts, ['f'], 'c');
      for (const blob of listed) sweep.see(blob, 'e');
      await sweep.finish();
      for (const blob of noted) {
        expect(receipts.has('f', { container: 'c', blob, etag: 'e' })).toBe(listed.includes(blob));
      }
    }),
  );
});

it('removes a great many over several listings', async () => {
  const { container, names } = memoryContainer();
  const receipts = new BlobReceipts(container, 'host');
  for (let index = 0; index < 700; index++)
    await receipts.add('f', { container: 'c', blob: String(index), etag: 'e' });
  expect(await new ReceiptSweep(receipts, ['f'], 'c').finish()).toBe(500);
  expect(await new ReceiptSweep(receipts, ['f'], 'c').finish()).toBe(200);
  expect(names.size).toBe(0);
});
