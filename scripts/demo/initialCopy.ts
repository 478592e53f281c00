// Initial replication while the machine runs. The copy reads each block at another moment, so it equals the disk at no
// moment. It is made whole by the log of cycle 1, which holds every block written since before the copy began, as it
// was when cycle 1 was frozen: the replica is consistent from cycle 1 on, and there is no recovery point before.
import { AgentError } from '../../agent/agentError.ts';
import { uploadReplica } from '../../agent/upload/uploadReplica.ts';
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import type { HrlWrite } from '../../lib/hrl/writer.ts';
import { findChangedBlocks } from '../../agent/changedBlocks.ts';
import { replicaName } from '../../lib/replication/names.ts';
import { item, type Demo } from './demo.ts';
import type { TrackedDisk } from './trackedDisk.ts';

/** Reads of the disk, with the machine's writes happening between them: a part at each quarter of the copy. */
function whileChanging(disk: TrackedDisk, writes: readonly HrlWrite[]): RandomAccessSource {
  const { source } = disk;
  let next = 0;
  let running = Promise.resolve();
  const writeUntil = async (count: number): Promise<void> => {
    for (; next < count; next++) {
      const write = writes[next];
      if (write) await disk.write(write);
    }
  };
  return {
    sizeBytes: source.sizeBytes,
    async read(offsetBytes, lengthBytes) {
      const quarter = Math.floor((4 * (offsetBytes + lengthBytes)) / source.sizeBytes);
      running = running.then(() => writeUntil(Math.floor((writes.length * quarter) / 4)));
      await running;
      return source.read(offsetBytes, lengthBytes);
    },
  };
}

/** Copies one disk while `writes` change it; all of them have happened when it returns. */
export async function copyDisk(
  { client, signal }: Pick<Demo, 'client' | 'signal'>,
  disk: TrackedDisk,
  writes: readonly HrlWrite[],
): Promise<{ writtenBytes: number }> {
  return uploadReplica({
    source: whileChanging(disk, writes),
    getUploadUrl: async () => {
      const { disk: assigned } = await client.getAssignment(item, disk.id);
      const { uploadUrl, expiresAt } = assigned.initialReplication;
      if (uploadUrl === undefined || expiresAt === undefined)
        throw new AgentError(
          'NotAssigned',
          `Disk ${disk.id} is not open for upload.`,
          'See the log of the host.',
        );
      return { url: uploadUrl, expiresAt: new Date(expiresAt) };
    },
    signal,
  });
}

/** How much of the replica differs from the disk as it is now. */
export async function countStaleBytes(
  { blobs }: Pick<Demo, 'blobs'>,
  { id, source }: TrackedDisk,
): Promise<number> {
  const blob = blobs.getContainerClient('replicas').getBlobClient(replicaName(item, id));
  const replica: RandomAccessSource = {
    sizeBytes: source.sizeBytes,
    read: (offsetBytes, lengthBytes) => blob.downloadToBuffer(offsetBytes, lengthBytes),
  };
  let staleBytes = 0;
  for await (const { data } of findChangedBlocks(replica, source)) staleBytes += data.length;
  return staleBytes;
}
