// A log from known extents, beside the two things that it cannot do without: the digest of that many bytes on one thread,
// and a plain copy of that many bytes onto the disk.
import { createHash, randomFillSync } from 'node:crypto';
import { rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { writeDeltaLog } from '../../agent/deltaLog.ts';
import { openDiskSource } from '../../agent/diskSource.ts';
import { totalsOfExtents } from '../../agent/extents.ts';
import { writeFully } from '../../agent/fileWrite.ts';
import { HashingSink } from '../../agent/hashingSink.ts';
import { startDigest } from '../../agent/streamDigest.ts';
import { unreadExtents } from '../../agent/unreadExtents.ts';
import { closedHeaderOf } from '../../lib/hrl/newHeader.ts';
import { HrlWriter } from '../../lib/hrl/writer.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';
import { median, type Measurement } from '../measurements.ts';
import { roundCount, timed } from './images.ts';

const pieceBytes = 4 * 2 ** 20;
const gibibyte = 2 ** 30;

/** Leaves the log of the last round at `log`. */
export async function benchCreate(
  { changed, log }: { changed: string; log: string },
  changes: readonly ByteRange[],
  changedBytes: number,
): Promise<Measurement[]> {
  const piece = randomFillSync(new Uint8Array(pieceBytes));
  const seconds = {
    create: [] as number[],
    unsynced: [] as number[],
    digest: [] as number[],
    copy: [] as number[],
  };
  for (let round = 0; round <= roundCount; round++) {
    // Freeing the file of the round before is not part of it.
    rmSync(log, { force: true });
    const create = await timed(() => createLog({ changed, log }, changes));
    rmSync(log);
    const unsynced = await timed(() => createUnsynced({ changed, log }, changes));
    const digest = await timed(async () => digestPieces(piece, changedBytes));
    const copy = await timed(() => writePieces(`${log}.copy`, piece, changedBytes));
    rmSync(`${log}.copy`);
    // The first round warms up.
    if (round === 0) continue;
    seconds.create.push(create);
    seconds.unsynced.push(unsynced);
    seconds.digest.push(digest);
    seconds.copy.push(copy);
  }
  const rate = (values: number[]): number => changedBytes / gibibyte / median(values);
  const slower = seconds.create.map((_, round) =>
    Math.max(seconds.digest[round] ?? 0, seconds.copy[round] ?? 0),
  );
  const share = median(slower.map((limit, round) => limit / (seconds.create[round] ?? 0)));
  return [
    {
      what: 'log from known extents',
      value: rate(seconds.create),
      unit: 'GiB/s',
      detail: `median of ${roundCount}; read, digest, file, fdatasync`,
    },
    {
      what: 'log from known extents, best round',
      value: changedBytes / gibibyte / Math.min(...seconds.create),
      unit: 'GiB/s',
    },
    {
      what: 'log from known extents, not synced',
      value: rate(seconds.unsynced),
      unit: 'GiB/s',
      detail: 'read, digest, page cache: what is left where the disk is no limit',
    },
    {
      what: 'sha256 of as much, one thread',
      value: rate(seconds.digest),
      unit: 'GiB/s',
      detail: 'of the same 4 MiB again and again',
    },
    {
      what: 'write as much and fdatasync',
      value: rate(seconds.copy),
      unit: 'GiB/s',
      detail: 'a new file in pieces of 4 MiB',
    },
    {
      what: 'log from known extents / the slower of the two',
      value: share,
      unit: '×',
      detail: 'median of the ratios',
    },
  ];
}

async function createLog(
  { changed, log }: { changed: string; log: string },
  changes: readonly ByteRange[],
): Promise<void> {
  await using disk = await openDiskSource(changed);
  const options = { uniqueId: crypto.randomUUID(), createdAt: new Date() };
  await writeDeltaLog(log, unreadExtents(disk, changes), { ...options, expected: totalsOfExtents(changes) });
}

/** The same without waiting for the disk, which the product never does. */
async function createUnsynced(
  { changed, log }: { changed: string; log: string },
  changes: readonly ByteRange[],
): Promise<void> {
  await using disk = await openDiskSource(changed);
  const options = { uniqueId: crypto.randomUUID(), createdAt: new Date() };
  const totals = totalsOfExtents(changes);
  await using digest = startDigest(totals.dataBytes);
  await using file = await open(log, 'w');
  const output = { write: (offsetBytes: number, data: Uint8Array) => writeFully(file, offsetBytes, data) };
  const sink = new HashingSink(output, { header: closedHeaderOf(options, totals), digest });
  const writer = await HrlWriter.open(sink, options);
  await writer.appendUnread(unreadExtents(disk, changes));
  await writer.close();
  await sink.takeSha256();
}

function digestPieces(piece: Uint8Array, totalBytes: number): string {
  const hash = createHash('sha256');
  for (let done = 0; done < totalBytes; done += piece.length) hash.update(piece);
  return hash.digest('hex');
}

async function writePieces(path: string, piece: Uint8Array, totalBytes: number): Promise<void> {
  const file = await open(path, 'w');
  for (let done = 0; done < totalBytes; done += piece.length) await file.write(piece, 0, piece.length, done);
  await file.datasync();
  await file.close();
}
