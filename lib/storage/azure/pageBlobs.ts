// Page blobs of one container: making, finding and deleting them; the other parts are beside this file. The service
// enforces leases and fences; alignment, limits and the blob's end are checked by us, because emulators do not.
import { assertPageBlobSize } from '../pageBounds.ts';
import type { PageBlobPort } from '../ports.ts';
import type { AzureConnection } from './connection.ts';
import { hasServiceCode, isNotFound } from './errors.ts';
import { pageContainer, type PageContainer } from './pageContainer.ts';
import { pageContent } from './pageContent.ts';
import { copiesInto, type PageCopier } from './pageCopies.ts';
import { pageLeases } from './pageLeases.ts';
import { pageSnapshots } from './pageSnapshots.ts';

/** The port to one container, which must exist. */
export function azurePageBlobs(
  connection: AzureConnection,
  containerName: string,
  copier: PageCopier,
): PageBlobPort {
  const container = pageContainer(connection, containerName);
  const copies = copiesInto(container, copier);
  return {
    get copyPages() {
      return copies();
    },
    find: (name) => container.find(name),
    listNames: (prefix) => listNames(container, prefix),
    async create(name, sizeBytes) {
      assertPageBlobSize(container.path(name), sizeBytes);
      const blob = container.clientOnce(name);
      container.forgetSize(name);
      await connection.once(
        { what: `create ${container.path(name)}`, onCondition: 'BlobExists' },
        (abortSignal) => blob.create(sizeBytes, { abortSignal, conditions: { ifNoneMatch: '*' } }),
      );
    },
    ...pageContent(container),
    ...pageLeases(container),
    ...pageSnapshots(container),
    async delete(name, leaseId) {
      const blob = container.client(name);
      container.forgetSize(name);
      await connection.safely({ what: `delete ${container.path(name)}` }, async (abortSignal) => {
        const options = { abortSignal, deleteSnapshots: 'include' } as const;
        try {
          await blob.delete({ ...options, conditions: leaseId === undefined ? {} : { leaseId } });
        } catch (error) {
          if (isNotFound(error)) return;
          if (!hasServiceCode(error, 'LeaseNotPresentWithBlobOperation')) throw error;
          // Not leased (any more): the id is not needed. Should somebody lease it in between, this is refused.
          await blob.delete(options);
        }
      });
    },
  };
}

const pageOfNames = 1000;

/** Each page is an operation with a deadline of its own: the consumer may take its time between them. */
async function* listNames(
  { connection, containerName }: PageContainer,
  prefix: string,
): AsyncGenerator<string> {
  const blobs = connection.blobs.getContainerClient(containerName);
  let continuationToken: string | undefined;
  do {
    const from = continuationToken === undefined ? {} : { continuationToken };
    const page = await connection.safely({ what: `list ${containerName}/${prefix}` }, (abortSignal) =>
      blobs
        .listBlobsFlat({ prefix, abortSignal })
        .byPage({ ...from, maxPageSize: pageOfNames })
        .next(),
    );
    if (page.done === true) return;
    for (const { name, properties } of page.value.segment.blobItems)
      if (properties.blobType === 'PageBlob') yield name;
    continuationToken = page.value.continuationToken;
  } while (continuationToken !== undefined && continuationToken !== '');
}
