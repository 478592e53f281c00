// Snapshots of page blobs. The service names them by time; Azurite's clock ticks in milliseconds and two snapshots
// within one get the same id. So the snapshots of a blob are taken one after the other, 2 ms apart; to Azure that adds
// nothing that can be measured beside the request.
import { setTimeout as sleep } from 'node:timers/promises';
import { LifeboatError } from '../../errors.ts';
import { assertMetadata } from '../blobChecks.ts';
import type { PageBlobPort, SnapshotInfo } from '../ports.ts';
import { isNotFound } from './errors.ts';
import type { PageContainer } from './pageContainer.ts';

const minimumGapMs = 2;
const maxCollisions = 5;

type PageSnapshotPort = Pick<PageBlobPort, 'snapshot' | 'listSnapshots' | 'deleteSnapshot'>;

export function pageSnapshots(container: PageContainer): PageSnapshotPort {
  /** Per blob: when the last snapshot is done, and its id. */
  const latest = new Map<string, Promise<string | undefined>>();

  const takeNext = async (name: string, metadata: Record<string, string>, previousId: string | undefined) => {
    const blob = container.client(name);
    for (let collisions = 0; collisions < maxCollisions; collisions++) {
      if (previousId !== undefined) await sleep(minimumGapMs);
      const what = `take a snapshot of ${container.path(name)}`;
      const { snapshot } = await container.connection.safely({ what }, (abortSignal) =>
        blob.createSnapshot({ abortSignal, metadata }),
      );
      if (snapshot !== undefined && snapshot !== previousId) return snapshot;
    }
    throw new LifeboatError(
      'StorageUnavailable',
      `${container.path(name)}: the service repeats the snapshot id`,
    );
  };

  return {
    async snapshot(name, metadata) {
      assertMetadata(container.path(name), metadata);
      const previous = latest.get(name) ?? Promise.resolve(undefined);
      const taken = previous.then((previousId) => takeNext(name, { ...metadata }, previousId));
      // A failure must not stop the next one: it begins from the last id that was good.
      const settled = taken.catch(() => previous);
      latest.set(name, settled);
      return taken;
    },
    async listSnapshots(name) {
      container.client(name);
      const what = `list snapshots of ${container.path(name)}`;
      const found = await container.connection.safely({ what }, (abortSignal) =>
        list(container, name, abortSignal),
      );
      if (found.hasBase) return found.snapshots;
      throw new LifeboatError('BlobNotFound', `${container.path(name)}: there is no such blob`);
    },
    async deleteSnapshot(name, snapshotId) {
      const blob = container.client(name, snapshotId);
      await container.connection.safely(
        { what: `delete a snapshot of ${container.path(name)}` },
        async (abortSignal) => {
          await blob.delete({ abortSignal }).catch((error: unknown) => {
            if (!isNotFound(error)) throw error;
          });
        },
      );
    },
  };
}

/** Snapshots in ascending order of their ids. The listing is by prefix, so longer names come along and are skipped. */
async function list(
  container: PageContainer,
  name: string,
  abortSignal: AbortSignal,
): Promise<{ hasBase: boolean; snapshots: SnapshotInfo[] }> {
  const blobs = container.connection.blobs.getContainerClient(container.containerName);
  const snapshots: SnapshotInfo[] = [];
  let hasBase = false;
  const options = { prefix: name, includeSnapshots: true, includeMetadata: true, abortSignal };
  for await (const blob of blobs.listBlobsFlat(options)) {
    if (blob.name !== name) continue;
    // The SDK's type says string, but the base blob has none.
    if (blob.snapshot) snapshots.push({ id: blob.snapshot, metadata: blob.metadata ?? {} });
    else hasBase = true;
  }
  return { hasBase, snapshots: snapshots.sort((a, b) => (a.id < b.id ? -1 : 1)) };
}
