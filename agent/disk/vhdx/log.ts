// The log of a VHDX that its writer did not close (MS-VHDX 2.3.3). What it holds is laid over the file in memory, so
// that the disk reads as Hyper-V would see it after repairing the file; the file is not touched.
import { imageCorrupt, imageUnsupported } from '../errors.ts';
import type { ImageBytes } from '../imageFile.ts';
import { mebibyte, type VhdxHeader } from './header.ts';
import {
  findEntryHeader,
  findEntryWrites,
  logSectorBytes,
  type LogEntryHeader,
  type LoggedWrite,
} from './logEntry.ts';

/** Hyper-V makes logs of 1 MiB. What is replayed is held in memory. */
const maxLogBytes = 64 * mebibyte;
/** Entries do not overlap, so a log is checked about once over; a made-up one could demand it for every sector. */
const maxCheckedTimes = 16;
/** A log is a multiple of this. */
const scanChunkBytes = mebibyte;

/** What has to be laid over the file, oldest first, and how long the file is then. */
export interface PendingLog {
  writes: readonly LoggedWrite[];
  fileSizeBytes: number;
}

interface FoundEntry extends LogEntryHeader {
  offsetBytes: number;
}

class LogScan {
  readonly #file: ImageBytes;
  readonly #header: VhdxHeader;
  readonly #logGuid: string;
  readonly #known = new Map<number, FoundEntry | undefined>();
  #budgetBytes: number;
  #chunk: { offsetBytes: number; bytes: Buffer } | undefined;
  /** Some entry bears the id of this log, whether or not it is whole. */
  hasEntries = false;

  constructor(file: ImageBytes, header: VhdxHeader, logGuid: string) {
    this.#file = file;
    this.#header = header;
    this.#logGuid = logGuid;
    this.#budgetBytes = maxCheckedTimes * header.logLengthBytes;
  }

  /** Bytes of the log, which continues at its beginning. */
  async #read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    const { logOffsetBytes, logLengthBytes } = this.#header;
    const untilEnd = Math.min(lengthBytes, logLengthBytes - offsetBytes);
    const first = await this.#file.read(logOffsetBytes + offsetBytes, untilEnd);
    if (untilEnd === lengthBytes) return first;
    return Buffer.concat([first, await this.#file.read(logOffsetBytes, lengthBytes - untilEnd)]);
  }

  /** One sector; the log is scanned from front to back, so its neighbours come along. */
  async #readSector(offsetBytes: number): Promise<Buffer> {
    const start = Math.floor(offsetBytes / scanChunkBytes) * scanChunkBytes;
    if (this.#chunk?.offsetBytes !== start)
      this.#chunk = { offsetBytes: start, bytes: await this.#read(start, scanChunkBytes) };
    return this.#chunk.bytes.subarray(offsetBytes - start, offsetBytes - start + logSectorBytes);
  }

  async readWrites(entry: FoundEntry): Promise<LoggedWrite[] | undefined> {
    return findEntryWrites(await this.#read(entry.offsetBytes, entry.lengthBytes), entry);
  }

  /** The whole and right entry at the offset, if there is one. */
  async #findEntry(offsetBytes: number): Promise<FoundEntry | undefined> {
    if (this.#known.has(offsetBytes)) return this.#known.get(offsetBytes);
    const sector = await this.#readSector(offsetBytes);
    const header = findEntryHeader(sector, this.#logGuid, this.#header.logLengthBytes);
    let entry: FoundEntry | undefined;
    if (header) {
      this.hasEntries = true;
      this.#budgetBytes -= header.lengthBytes;
      if (this.#budgetBytes < 0) throw imageCorrupt(this.#file.path, 'the entries of its log overlap');
      const found = { ...header, offsetBytes };
      if (await this.readWrites(found)) entry = found;
    }
    this.#known.set(offsetBytes, entry);
    return entry;
  }

  /** The entries from the offset on, each the successor of the one before. */
  async #sequenceFrom(offsetBytes: number): Promise<FoundEntry[]> {
    const sequence: FoundEntry[] = [];
    let lengthBytes = 0;
    let at = offsetBytes;
    for (;;) {
      const entry = await this.#findEntry(at);
      const previous = sequence.at(-1);
      if (!entry || (previous && entry.sequenceNumber !== previous.sequenceNumber + 1n)) return sequence;
      lengthBytes += entry.lengthBytes;
      if (lengthBytes > this.#header.logLengthBytes) return sequence;
      sequence.push(entry);
      at = (at + entry.lengthBytes) % this.#header.logLengthBytes;
    }
  }

  /** The complete sequence with the highest sequence number, from its tail on. */
  async findActiveSequence(): Promise<FoundEntry[] | undefined> {
    let active: FoundEntry[] | undefined;
    for (let at = 0; at < this.#header.logLengthBytes;) {
      const sequence = await this.#sequenceFrom(at);
      const head = sequence.at(-1);
      const tail = head ? sequence.findIndex(({ offsetBytes }) => offsetBytes === head.tailBytes) : -1;
      const newest = active?.at(-1)?.sequenceNumber ?? 0n;
      if (head && tail >= 0 && head.sequenceNumber > newest) active = sequence.slice(tail);
      at += Math.max(
        logSectorBytes,
        sequence.reduce((total, { lengthBytes }) => total + lengthBytes, 0),
      );
    }
    return active;
  }
}

function checkLogPlace(file: ImageBytes, { logOffsetBytes, logLengthBytes }: VhdxHeader): void {
  const isInside =
    logLengthBytes > 0 &&
    logLengthBytes % mebibyte === 0 &&
    logOffsetBytes % mebibyte === 0 &&
    logOffsetBytes >= mebibyte &&
    logOffsetBytes + logLengthBytes <= file.sizeBytes;
  if (!isInside)
    throw imageCorrupt(
      file.path,
      `its log [${logOffsetBytes}, +${logLengthBytes}) is not in whole MiB inside the file`,
    );
  if (logLengthBytes > maxLogBytes)
    throw imageUnsupported(file.path, `a pending log of ${logLengthBytes} bytes (at most ${maxLogBytes})`);
}

/** What the log still holds; no writes when it is empty. Throws `DiskImageCorrupt` and `DiskImageUnsupported`. */
export async function readPendingLog(file: ImageBytes, header: VhdxHeader): Promise<PendingLog> {
  const nothing = { writes: [], fileSizeBytes: file.sizeBytes };
  if (header.logGuid === undefined) return nothing;
  checkLogPlace(file, header);
  const scan = new LogScan(file, header, header.logGuid);
  const sequence = await scan.findActiveSequence();
  const head = sequence?.at(-1);
  if (!sequence || !head) {
    // A writer that died before its first entry leaves a log without entries. Entries that make up no sequence may be
    // a torn first entry or damage to later ones; the file alone cannot tell, and a guess could lose writes.
    if (!scan.hasEntries) return nothing;
    throw imageCorrupt(
      file.path,
      'its log has entries, but none that can be replayed; mount the disk once on its host to repair it',
    );
  }
  if (head.flushedFileBytes > file.sizeBytes)
    throw imageCorrupt(file.path, `has ${file.sizeBytes} bytes, but its log says ${head.flushedFileBytes}`);
  const writes: LoggedWrite[] = [];
  for (const entry of sequence) writes.push(...((await scan.readWrites(entry)) ?? []));
  const fileSizeBytes = Math.max(file.sizeBytes, head.lastFileBytes);
  const outside = writes.find(({ offsetBytes, lengthBytes }) => offsetBytes + lengthBytes > fileSizeBytes);
  if (!Number.isSafeInteger(fileSizeBytes) || outside)
    throw imageCorrupt(file.path, 'its log writes past the end of the file that it announces');
  return { writes, fileSizeBytes };
}

/** Reads of the file with the pending writes laid over. */
export function overlayReads(
  file: ImageBytes,
  { writes, fileSizeBytes }: PendingLog,
): (target: Uint8Array, offsetBytes: number) => Promise<void> {
  if (writes.length === 0) return (target, offsetBytes) => file.readInto(target, offsetBytes);
  return async (target, offsetBytes) => {
    const end = offsetBytes + target.length;
    if (end > fileSizeBytes) throw imageCorrupt(file.path, `ends at ${fileSizeBytes}, before ${end}`);
    // What the log adds to the file's length reads as zeros until one of its writes says otherwise.
    const inFile = Math.max(0, Math.min(end, file.sizeBytes) - offsetBytes);
    await file.readInto(target.subarray(0, inFile), offsetBytes);
    target.fill(0, inFile);
    for (const write of writes) {
      const from = Math.max(offsetBytes, write.offsetBytes);
      const to = Math.min(end, write.offsetBytes + write.lengthBytes);
      if (from >= to) continue;
      if (write.data)
        target.set(write.data.subarray(from - write.offsetBytes, to - write.offsetBytes), from - offsetBytes);
      else target.fill(0, from - offsetBytes, to - offsetBytes);
    }
  };
}
