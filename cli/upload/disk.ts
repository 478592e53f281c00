// `lifeboat upload disk`: initial replication of one disk from a file.
import { AgentError } from '../../agent/agentError.ts';
import { openDiskSource, type DiskSource } from '../../agent/diskSource.ts';
import type { Assignment, DiskAssignment } from '../../agent/serviceClient.ts';
import { uploadReplica, type UploadUrl } from '../../agent/upload/uploadReplica.ts';
import { formatBytes, formatFacts } from '../humanText.ts';
import { pathOf, print, type Io } from '../io.ts';
import { startProgress } from '../progress.ts';
import { connectService, type TargetOptions } from './target.ts';

export interface UploadDiskOptions extends TargetOptions {
  complete: boolean;
  pointInTime?: Date;
  consistentFrom?: number;
}

/** The upload URL of a disk that waits for its bytes. */
function getUploadUrl(item: Assignment, disk: DiskAssignment): UploadUrl {
  const { uploadUrl, expiresAt, state } = disk.initialReplication;
  if (uploadUrl !== undefined && expiresAt !== undefined)
    return { url: uploadUrl, expiresAt: new Date(expiresAt) };
  const why = state === 'complete' ? 'is replicated already' : `is not open (phase ${item.phase})`;
  const message = `Disk ${disk.disk} of item ${item.item} ${why}: its replica takes no pages.`;
  throw new AgentError('NotAssigned', message, 'Send its changes with: lifeboat upload log');
}

function requireSize(source: DiskSource, disk: DiskAssignment): void {
  if (source.sizeBytes === disk.sizeBytes) return;
  const message = `${source.path} has ${source.sizeBytes} bytes, but disk ${disk.disk} has ${disk.sizeBytes}.`;
  throw new AgentError(
    'DiskSizeMismatch',
    message,
    'Check the file and the disk id; report a resized disk anew.',
  );
}

/** Throws AgentError and ServiceError. The replica is open until `complete` was answered: repeat after a failure. */
export async function uploadDisk(io: Io, file: string, options: UploadDiskOptions): Promise<void> {
  await using source = await openDiskSource(pathOf(io, file));
  const client = await connectService(io, options);
  const first = await client.getAssignment(options.item, options.disk);
  getUploadUrl(first.item, first.disk);
  requireSize(source, first.disk);
  const progress = startProgress(io, 'uploading', source.sizeBytes, options.json === true);
  const uploaded = await uploadReplica({
    source,
    getUploadUrl: async () => {
      const { item, disk } = await client.getAssignment(options.item, options.disk);
      return getUploadUrl(item, disk);
    },
    signal: io.signal,
    onProgress: (doneBytes) => progress.report(doneBytes),
  }).finally(() => progress.end());
  const completion = options.complete
    ? await client.completeDisk(options.item, options.disk, {
        pointInTime: options.pointInTime?.toISOString(),
        consistentFromCycle: options.consistentFrom,
      })
    : undefined;
  const { diskBytes, writtenBytes, writeRequests } = uploaded;
  const document = { item: options.item, disk: options.disk, diskBytes, writtenBytes, writeRequests };
  const state = { completed: options.complete, remainingDisks: completion?.remainingDisks ?? null };
  if (options.json === true) {
    await print(io, `${JSON.stringify({ ...document, ...state })}\n`);
    return;
  }
  const remaining = completion?.remainingDisks ?? [];
  const facts = formatFacts([
    ['uploaded', file],
    ['disk', `${options.item}/${options.disk}`],
    ['size', `${diskBytes} (${formatBytes(diskBytes)})`],
    ['sent', `${writtenBytes} (${formatBytes(writtenBytes)}) in ${writeRequests} page writes`],
    ['complete', options.complete ? 'yes' : 'no (the replica is still open)'],
    ['disks still to send', remaining.length === 0 ? 'none' : remaining.join(', ')],
  ]);
  await print(io, facts);
}
