// Put Page From URL: pages filled from another blob, or a snapshot, inside the service. It may be carried out late like a page write, so
// it carries the same fence and is never sent again after an unknown outcome (connection.ts says why). The service reads
// the source through a URL that may read this one blob for an hour; the URL goes nowhere but into the request.
import { AnonymousCredential, BlobSASPermissions } from '@azure/storage-blob';
import { assertPageWrite } from '../pageBounds.ts';
import type { PageCopy, PageCopySource, SnapshotCopySource } from '../ports.ts';
import { blobUrlSigner } from './blobSas.ts';
import type { AzureConnection } from './connection.ts';
import { isCopyNotOffered } from './errors.ts';
import { conditionsOf, describe } from './pageContent.ts';
import type { PageContainer } from './pageContainer.ts';

const sourceUrlMs = 3_600_000;
/** A request must not outlive the URL that it carries. */
const sourceUrlReserveMs = 15 * 60_000;
const keptUrls = 256;

/** What all containers of one connection share: whether its service copies at all, and the URLs of the sources. */
export interface PageCopier {
  isOffered(): boolean;
  setNotOffered(): void;
  sourceUrl(source: PageCopySource | SnapshotCopySource): Promise<string>;
}

/** The copier of a connection. `now` is the clock of the URLs' ends. */
export function pageCopier(connection: AzureConnection, now: () => Date = () => new Date()): PageCopier {
  const sign = blobUrlSigner(connection, now);
  const urls = new Map<string, { url: Promise<string>; renewAtMs: number }>();
  let isOffered = true;
  return {
    isOffered: () => isOffered,
    setNotOffered() {
      isOffered = false;
    },
    async sourceUrl(source) {
      const { container, name } = source;
      const snapshotTime = 'snapshotId' in source ? source.snapshotId : undefined;
      // A connection that has only a SAS cannot sign; its URLs carry that SAS already.
      if (connection.blobs.credential instanceof AnonymousCredential) {
        const blob = connection.blobs.getContainerClient(container).getBlobClient(name);
        return snapshotTime === undefined ? blob.url : blob.withSnapshot(snapshotTime).url;
      }
      const key = `${container}/${name}?${snapshotTime ?? ''}`;
      const nowMs = now().getTime();
      const kept = urls.get(key);
      if (kept !== undefined && nowMs < kept.renewAtMs) return kept.url;
      const permissions = BlobSASPermissions.parse('r');
      const url = sign(
        {
          containerName: container,
          blobName: name,
          permissions,
          ...(snapshotTime === undefined ? {} : { snapshotTime }),
        },
        new Date(nowMs + sourceUrlMs),
      );
      if (urls.size >= keptUrls) urls.clear();
      urls.set(key, { url, renewAtMs: nowMs + sourceUrlMs - sourceUrlReserveMs });
      // A failure is the caller's to see and must not be kept for the next one.
      url.catch(() => urls.delete(key));
      return url;
    },
  };
}

/** The copy into blobs of one container. */
export function copyInto(container: PageContainer, copier: PageCopier): PageCopy {
  const { connection } = container;
  return async (name, range, source, fence) => {
    assertPageWrite(container.path(name), range);
    const blob = container.clientOnce(name);
    await container.assertWithin(name, range);
    const { offsetBytes, lengthBytes } = range;
    const url = await copier.sourceUrl(source);
    const what = `${describe('copy', `${source.container}/${source.name}`, { ...range, offsetBytes: source.offsetBytes })} into ${container.path(name)} at ${offsetBytes}`;
    const copying = connection.once(
      { what, bytes: lengthBytes, onCondition: 'LogChanged' },
      async (abortSignal) => {
        try {
          await blob.uploadPagesFromURL(url, source.offsetBytes, offsetBytes, lengthBytes, {
            abortSignal,
            conditions: conditionsOf(fence),
            ...('etag' in source && { sourceConditions: { ifMatch: source.etag } }),
          });
          return true;
        } catch (error) {
          if (!isCopyNotOffered(error)) throw error;
          copier.setNotOffered();
          return false;
        }
      },
    );
    return container.watch(name, copying);
  };
}
