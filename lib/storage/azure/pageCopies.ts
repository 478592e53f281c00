// Put Page From URL: pages filled from another blob, or a snapshot, inside the service. It may be carried out late like a page write, so
// it carries the same fence and is never sent again after an unknown outcome (connection.ts says why). The service reads
// the source through a URL that may read this one blob for an hour; the URL goes nowhere but into the request.
// A copy only saves carrying: whatever speaks against one, bytes that are carried arrive. So where copies do not work none
// is asked for, for a while.
import { AnonymousCredential, BlobSASPermissions } from '@azure/storage-blob';
import { assertPageWrite } from '../pageBounds.ts';
import type { ByteRange, Fence, PageCopy, PageCopySource, SnapshotCopySource } from '../ports.ts';
import { isLifeboatError } from '../../errors.ts';
import { blobUrlSigner } from './blobSas.ts';
import type { AzureConnection } from './connection.ts';
import { isCopyRefused } from './errors.ts';
import { conditionsOf, describe } from './pageContent.ts';
import type { PageContainer } from './pageContainer.ts';

const sourceUrlMs = 3_600_000;
/** A request must not outlive the URL that it carries. */
const sourceUrlReserveMs = 15 * 60_000;
const keptUrls = 256;
/** How long bytes are carried after a copy that did not work: a rule of the network, or a role, may be put right meanwhile. */
const pauseMs = 10 * 60_000;

type CopySource = PageCopySource | SnapshotCopySource;

/** What all containers of one connection share. */
export interface PageCopier {
  sourceUrl(source: CopySource): Promise<string>;
  now(): Date;
}

/** The copier of a connection. `now` is the clock of the URLs' ends and of the pauses. */
export function pageCopier(connection: AzureConnection, now: () => Date = () => new Date()): PageCopier {
  const sign = blobUrlSigner(connection, now);
  const urls = new Map<string, { url: Promise<string>; renewAtMs: number }>();
  return {
    now,
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

/**
 * Copies into the blobs of one container, which all come from one other: undefined while the last one has shown that they do
 * not work. Copies into another container may work all the same.
 */
export function copiesInto(container: PageContainer, copier: PageCopier): () => PageCopy | undefined {
  let pausedUntilMs = -Infinity;
  const pause = (): void => {
    pausedUntilMs = copier.now().getTime() + pauseMs;
  };
  const copyPages: PageCopy = async (name, range, source, fence) => {
    assertPageWrite(container.path(name), range);
    await container.assertWithin(name, range);
    try {
      const url = await copier.sourceUrl(source).catch(noUrl);
      const isCopied = url !== undefined && (await copyOnce(container, url, { name, range, source, fence }));
      if (!isCopied) pause();
      return isCopied;
    } catch (error) {
      // The outcome is unknown. Whoever tries again under a new fence must not meet the same.
      if (isLifeboatError(error, 'StorageUnavailable')) pause();
      throw error;
    }
  };
  return () => (copier.now().getTime() < pausedUntilMs ? undefined : copyPages);
}

/** Nothing was sent yet: a key that is refused, or does not come, costs the copy and nothing else. */
function noUrl(error: unknown): undefined {
  if (!isLifeboatError(error, 'StorageDenied', 'StorageUnavailable')) throw error;
}

interface CopyRequest {
  name: string;
  range: ByteRange;
  source: CopySource;
  fence: Fence | undefined;
}

/** False when the service said that it does not do it. */
function copyOnce(
  container: PageContainer,
  url: string,
  { name, range, source, fence }: CopyRequest,
): Promise<boolean> {
  const { offsetBytes, lengthBytes } = range;
  const from = describe('copy', `${source.container}/${source.name}`, {
    ...range,
    offsetBytes: source.offsetBytes,
  });
  const what = `${from} into ${container.path(name)} at ${offsetBytes}`;
  const blob = container.clientOnce(name);
  const copying = container.connection.once(
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
        if (!isCopyRefused(error)) throw error;
        return false;
      }
    },
  );
  return container.watch(name, copying);
}
