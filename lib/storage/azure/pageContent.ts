// Reading and writing the pages of a blob. Writes carry the fence as conditions and are never sent again after an
// unknown outcome (connection.ts says why); reads and listings are cut so that no answer grows without bound.
import { createHash } from 'node:crypto';
import pMap from 'p-map';
import type { ByteRange, Fence, PageBlobPort } from '../ports.ts';
import { assertPages, assertPageWrite, joinRanges } from '../pageBounds.ts';
import { downloadRange } from './download.ts';
import type { PageContainer } from './pageContainer.ts';

/** The emulator knows no paging of listings, so the window bounds its answers. */
const listWindowBytes = 1024 ** 3;
const listWindowsAtOnce = 4;

type PageContentPort = Pick<PageBlobPort, 'read' | 'listRanges' | 'writePages' | 'clearPages'>;

export function pageContent(container: PageContainer): PageContentPort {
  const { connection } = container;
  return {
    async read(name, range, snapshotId) {
      const blob = container.client(name, snapshotId);
      await container.assertWithin(name, range);
      // A piece that broke off while the blob changed cannot be continued: the reader has to begin again.
      const operation = {
        what: describe('read', container.path(name), range),
        onCondition: 'StorageUnavailable',
      } as const;
      return container.watch(name, downloadRange(connection, blob, range, { operation }));
    },
    async listRanges(name, window, snapshotId) {
      const blob = container.client(name, snapshotId);
      await container.assertWithin(name, window);
      const list = (part: ByteRange) =>
        connection.safely({ what: describe('list', container.path(name), part) }, async (abortSignal) => {
          const ranges: ByteRange[] = [];
          for await (const range of blob.listPageRanges(part.offsetBytes, part.lengthBytes, {
            abortSignal,
          })) {
            // The wire's ends are inclusive, ours are not.
            if (!range.isClear)
              ranges.push({ offsetBytes: range.start, lengthBytes: range.end - range.start + 1 });
          }
          return joinRanges(ranges, part);
        });
      const listing = pMap(windowsOf(window), list, { concurrency: listWindowsAtOnce });
      return joinRanges((await container.watch(name, listing)).flat(), window);
    },
    async writePages(name, offsetBytes, data, fence) {
      const range = { offsetBytes, lengthBytes: data.length };
      assertPageWrite(container.path(name), range);
      const blob = container.clientOnce(name);
      await container.assertWithin(name, range);
      const operation = { what: describe('write', container.path(name), range), bytes: data.length };
      const writing = connection.once(operation, (abortSignal) =>
        blob.uploadPages(data, offsetBytes, data.length, {
          abortSignal,
          conditions: conditionsOf(fence),
          ...(connection.checkWrites && { transactionalContentMD5: md5Of(data) }),
        }),
      );
      await container.watch(name, writing);
    },
    async clearPages(name, range, fence) {
      assertPages(container.path(name), range);
      const blob = container.clientOnce(name);
      await container.assertWithin(name, range);
      const { offsetBytes, lengthBytes } = range;
      const clearing = connection.once(
        { what: describe('clear', container.path(name), range) },
        (abortSignal) =>
          blob.clearPages(offsetBytes, lengthBytes, { abortSignal, conditions: conditionsOf(fence) }),
      );
      await container.watch(name, clearing);
    },
  };
}

function md5Of(data: Uint8Array): Uint8Array {
  return createHash('md5').update(data).digest();
}

/** The fence as conditions that the service compares before it changes a byte. */
export function conditionsOf(fence: Fence | undefined): {
  leaseId?: string;
  ifSequenceNumberEqualTo?: number;
} {
  return fence === undefined ? {} : { leaseId: fence.leaseId, ifSequenceNumberEqualTo: fence.sequenceNumber };
}

/** What is being done, for error texts. */
export function describe(verb: string, path: string, { offsetBytes, lengthBytes }: ByteRange): string {
  return `${verb} ${path} [${offsetBytes}, ${offsetBytes + lengthBytes})`;
}

function windowsOf(range: ByteRange): ByteRange[] {
  const rangeEnd = range.offsetBytes + range.lengthBytes;
  const windows: ByteRange[] = [];
  for (let offsetBytes = range.offsetBytes; offsetBytes < rangeEnd; offsetBytes += listWindowBytes) {
    windows.push({ offsetBytes, lengthBytes: Math.min(listWindowBytes, rangeEnd - offsetBytes) });
  }
  return windows;
}
