// One replication cycle on the source: freeze all disks at one moment, make their logs from the frozen copies. And the
// three ways to deliver a log: our uploader, our command, and a plain upload by any storage client.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { writeDeltaLog, type DeltaLog } from '../../agent/deltaLog.ts';
import { unreadExtents } from '../../agent/unreadExtents.ts';
import { openFileSource } from '../../agent/fileSource.ts';
import { logMetadata, uploadLog } from '../../agent/upload/uploadLog.ts';
import { formatDeltaName } from '../../lib/replication/names.ts';
import { frozenPath, item, type Demo } from './demo.ts';

const run = promisify(execFile);

/** A log that waits for delivery. */
export interface CutLog {
  cycle: number;
  disk: string;
  takenAt: Date;
  log: DeltaLog;
}

/** Makes the logs of successive cycles; each disk's logs form a chain. */
export class CycleCutter {
  readonly #demo: Demo;
  readonly #lastIds = new Map<string, string>();
  #cycle = 0;

  constructor(demo: Demo) {
    this.#demo = demo;
  }

  /** Ends a cycle now: nobody writes the disks until it returns. */
  async cut(): Promise<CutLog[]> {
    const { disks, folder, signal } = this.#demo;
    const cycle = ++this.#cycle;
    const takenAt = new Date();
    const frozen = [];
    for (const disk of disks)
      frozen.push({ id: disk.id, extents: await disk.freeze(frozenPath(this.#demo, cycle, disk.id)) });
    const logs: CutLog[] = [];
    for (const { id, extents } of frozen) {
      await using copy = await openFileSource(frozenPath(this.#demo, cycle, id));
      const previousUniqueId = this.#lastIds.get(id);
      const log = await writeDeltaLog(
        join(folder, 'logs', `${cycle}-${id}.hrl`),
        unreadExtents(copy, extents),
        {
          uniqueId: randomUUID(),
          createdAt: takenAt,
          ...(previousUniqueId === undefined ? {} : { previousUniqueId }),
          signal,
        },
      );
      this.#lastIds.set(id, log.uniqueId);
      logs.push({ cycle, disk: id, takenAt, log });
    }
    return logs;
  }
}

/** Through the URL that the service assigns. */
export async function sendAssigned({ client, signal }: Demo, { disk, log, takenAt }: CutLog): Promise<void> {
  const { disk: assigned } = await client.getAssignment(item, disk);
  await using source = await openFileSource(log.path);
  const statement = { sha256: log.sha256, takenAt };
  await uploadLog({ source, uploadUrl: assigned.delta.uploadUrl, statement, signal });
}

/** As any storage client with access to the container would: a PUT, over whatever lies there. */
export async function sendPlain(
  { blobs, signal }: Demo,
  { cycle, disk, log, takenAt }: CutLog,
): Promise<void> {
  const name = formatDeltaName({ item, cycle, disk });
  const client = blobs.getContainerClient('deltas').getBlockBlobClient(name);
  const metadata = logMetadata({ sha256: log.sha256, takenAt });
  await client.uploadFile(log.path, { metadata, abortSignal: signal });
}

/** With `lifeboat upload log`, as a script would. */
export async function sendByCommand(demo: Demo, { cycle, disk, log, takenAt }: CutLog): Promise<void> {
  const command = join(demo.root, 'dist', 'cli', 'lifeboat.mjs');
  const what = ['upload', 'log', log.path, '--item', item, '--disk', disk, '--cycle', String(cycle)];
  const how = ['--taken-at', takenAt.toISOString(), '--local', demo.dataDirectory, '--json'];
  await run(process.execPath, [command, ...what, ...how], { signal: demo.signal });
}

/** True while a log lies in `deltas`: it was not applied, settled or refused yet. */
export async function isWaiting(
  { blobs }: Demo,
  { cycle, disk }: Pick<CutLog, 'cycle' | 'disk'>,
): Promise<boolean> {
  const name = formatDeltaName({ item, cycle, disk });
  return blobs.getContainerClient('deltas').getBlockBlobClient(name).exists();
}
