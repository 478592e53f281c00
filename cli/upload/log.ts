// `lifeboat upload log`: one log as the next cycle of its disk. It is verified here as the service will verify it, so
// that a log that would be refused is not sent at all.
import { AgentError } from '../../agent/agentError.ts';
import { openFileSource } from '../../agent/fileSource.ts';
import type { Assignment, DiskAssignment } from '../../agent/serviceClient.ts';
import { uploadLog } from '../../agent/upload/uploadLog.ts';
import { verifyHrl } from '../../lib/hrl/verify.ts';
import { inFile } from '../hrl/verifyProgress.ts';
import { formatBytes, formatFacts } from '../humanText.ts';
import { pathOf, print, type Io } from '../io.ts';
import { startProgress } from '../progress.ts';
import { connectService, type TargetOptions } from './target.ts';

export interface UploadLogOptions extends TargetOptions {
  cycle?: number;
  takenAt?: Date;
  consistency?: 'crash' | 'application';
}

/** The cycle that this log will be. */
function getCycle(item: Assignment, disk: DiskAssignment, wanted: number | undefined): number {
  const { nextCycle } = item;
  if (nextCycle === null) {
    const message = `Item ${item.item} takes no logs yet (phase ${item.phase}).`;
    throw new AgentError('NotAssigned', message, 'Wait until protection is enabled.');
  }
  const where = `disk ${disk.disk} of item ${item.item}`;
  if (wanted !== undefined && wanted < nextCycle)
    throw new AgentError(
      'LogExists',
      `Cycle ${wanted} of ${where} is uploaded already.`,
      `The next one is ${nextCycle}.`,
    );
  if (wanted !== undefined && wanted > nextCycle) {
    const message = `The service waits for cycle ${nextCycle} of item ${item.item}, not for ${wanted}.`;
    throw new AgentError('NotAssigned', message, `Upload the logs of cycle ${nextCycle} first.`);
  }
  if (disk.delta.isUploaded) {
    const message = `Cycle ${nextCycle} of ${where} is uploaded already.`;
    throw new AgentError(
      'LogExists',
      message,
      'Upload the log of the other disks; then the next cycle is open.',
    );
  }
  return nextCycle;
}

/** Throws HrlError before anything is sent, AgentError and ServiceError. */
export async function uploadLogFile(io: Io, file: string, options: UploadLogOptions): Promise<void> {
  await using source = await openFileSource(pathOf(io, file));
  const client = await connectService(io, options);
  const { item, disk } = await client.getAssignment(options.item, options.disk);
  const cycle = getCycle(item, disk, options.cycle);
  // The service knows the id of the last log that it applied; cycles that still wait are not in that chain yet.
  const isNextToApply = cycle === item.appliedCycle + 1;
  const { previousUniqueId } = disk.delta;
  const verifying = verifyHrl(source, {
    diskSizeBytes: disk.sizeBytes,
    ...(isNextToApply && previousUniqueId !== null ? { previousUniqueId } : {}),
  });
  const { sha256, log } = await inFile(file, verifying);
  const progress = startProgress(io, 'uploading', source.sizeBytes, options.json === true);
  const { takenAt, consistency } = options;
  await uploadLog({
    source,
    uploadUrl: disk.delta.uploadUrl,
    statement: { sha256, takenAt, consistency },
    signal: io.signal,
    onProgress: (doneBytes) => progress.report(doneBytes),
  }).finally(() => progress.end());
  const { blobName } = disk.delta;
  const document = {
    item: options.item,
    disk: options.disk,
    cycle,
    blobName,
    sha256,
    sizeBytes: source.sizeBytes,
  };
  if (options.json === true) {
    await print(io, `${JSON.stringify({ ...document, entryCount: log.entries.count })}\n`);
    return;
  }
  const facts = formatFacts([
    ['uploaded', file],
    ['as', blobName],
    ['cycle', cycle],
    ['writes', log.entries.count],
    ['size', `${source.sizeBytes} (${formatBytes(source.sizeBytes)})`],
    ['sha256', sha256],
  ]);
  await print(io, facts);
}
