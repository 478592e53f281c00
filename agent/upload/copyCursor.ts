// How far the copy of a disk is, in a file that survives the process: which chunks the service has acknowledged, with the
// digest of what was sent. A cursor is believed only for the plan that it was made for, and only as far as its lines are whole.
import { open, readFile, unlink, type FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import * as z from 'zod';
import { errnoOf, readError, writeError } from '../fileErrors.ts';
import { writeFully } from '../fileWrite.ts';

/** What is copied where. A cursor of another plan is worthless. */
export interface CopyPlan {
  item: string;
  disk: string;
  blobName: string;
  diskSizeBytes: number;
  chunkBytes: number;
}

/** What the replica holds of a chunk. */
export interface ChunkRecord {
  /** SHA-256 of the chunk, hex; `zero` when nothing was sent because it was zeros. */
  digest: string;
  /** The frozen view that the bytes are of. */
  viewId: string;
}

/** Chunks that the service has. */
export interface CopyCursor {
  /** What an earlier run recorded, by number of the chunk. */
  readonly chunks: ReadonlyMap<number, ChunkRecord>;
  /**
   * The replica's sequence number as the last run left it, undefined before the first. Every upload raises it by one at a
   * time: when it is not the next one now, the replica was made anew or somebody else wrote it, and the cursor is worthless.
   */
  readonly sequenceNumber: number | undefined;
  /** Durable when it resolves, as all that follow. */
  recordSequence(sequenceNumber: number): Promise<void>;
  record(chunk: number, record: ChunkRecord): Promise<void>;
  /** Before a chunk is written again: until it is recorded anew, nothing is known of it. */
  forget(chunk: number): Promise<void>;
  /** Forgets every chunk. */
  reset(): Promise<void>;
}

const headLine = z.strictObject({
  copy: z.literal(1),
  item: z.string(),
  disk: z.string(),
  blobName: z.string(),
  diskSizeBytes: z.number(),
  chunkBytes: z.number(),
});
const viewLine = z.strictObject({ view: z.string() });
const sequenceLine = z.strictObject({ sequenceNumber: z.number().int().min(0) });
const forgottenLine = z.strictObject({ forgotten: z.number().int().min(0) });
const resetLine = z.strictObject({ reset: z.literal(true) });
const chunkLine = z.tuple([z.number().int().min(0), z.union([z.literal('zero'), z.string().length(64)])]);

const checkLength = 8;
const checkOf = (text: string): string => crc32(text).toString(16).padStart(checkLength, '0');

/** The whole lines from the beginning, and where they end. */
function* wholeLines(file: Buffer): Generator<{ value: unknown; endBytes: number }, void, undefined> {
  for (let start = 0; ;) {
    const end = file.indexOf('\n', start);
    if (end < 0) return;
    const line = file.toString('utf8', start, end);
    const text = line.slice(checkLength + 1);
    if (line.slice(0, checkLength) !== checkOf(text) || line[checkLength] !== ' ') return;
    start = end + 1;
    yield { value: JSON.parse(text) as unknown, endBytes: start };
  }
}

/** The cursor in a file. One copy uses it at a time. `close` may be called twice. */
export class CopyCursorFile implements CopyCursor, AsyncDisposable {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #chunks: Map<number, ChunkRecord>;
  #endBytes: number;
  #viewId: string | undefined;
  #sequenceNumber: number | undefined;
  #waiting: string[] = [];
  /** The flush that has not begun, and the end of all those before it. */
  #next: Promise<void> | undefined;
  #last: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(path: string, handle: FileHandle, known: Known | undefined) {
    this.#path = path;
    this.#handle = handle;
    this.#chunks = known?.chunks ?? new Map<number, ChunkRecord>();
    this.#endBytes = known?.endBytes ?? 0;
    this.#viewId = known?.viewId;
    this.#sequenceNumber = known?.sequenceNumber;
  }

  /** Opens the cursor of this plan, or begins a new one. Throws AgentError for the file. */
  static async open(path: string, plan: CopyPlan): Promise<CopyCursorFile> {
    const file = await readFile(path).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return Buffer.alloc(0);
      throw readError(error, path);
    });
    const known = readKnown(file, plan);
    try {
      const handle = await open(path, known ? 'r+' : 'w');
      if (known) await handle.truncate(known.endBytes);
      const cursor = new CopyCursorFile(path, handle, known);
      if (!known) await cursor.#append(JSON.stringify({ copy: 1, ...plan }));
      return cursor;
    } catch (error) {
      throw unwritable(error, path);
    }
  }

  get chunks(): ReadonlyMap<number, ChunkRecord> {
    return this.#chunks;
  }

  get sequenceNumber(): number | undefined {
    return this.#sequenceNumber;
  }

  async recordSequence(sequenceNumber: number): Promise<void> {
    this.#sequenceNumber = sequenceNumber;
    await this.#append(JSON.stringify({ sequenceNumber }));
  }

  async forget(chunk: number): Promise<void> {
    this.#chunks.delete(chunk);
    await this.#append(JSON.stringify({ forgotten: chunk }));
  }

  async reset(): Promise<void> {
    this.#chunks.clear();
    await this.#append(JSON.stringify({ reset: true }));
  }

  async record(chunk: number, record: ChunkRecord): Promise<void> {
    this.#chunks.set(chunk, record);
    const lines: string[] = [];
    if (record.viewId !== this.#viewId) {
      this.#viewId = record.viewId;
      lines.push(JSON.stringify({ view: record.viewId }));
    }
    lines.push(JSON.stringify([chunk, record.digest]));
    await this.#append(...lines);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#last;
    await this.#handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Lines that come while others are flushed go out together with the next flush. */
  #append(...lines: string[]): Promise<void> {
    this.#waiting.push(...lines);
    if (this.#next === undefined) {
      this.#next = this.#last.then(() => {
        this.#next = undefined;
        return this.#flush();
      });
      // Whoever appended gets the failure; the flush after it is tried all the same.
      this.#last = this.#next.catch(() => undefined);
    }
    return this.#next;
  }

  async #flush(): Promise<void> {
    const lines = this.#waiting;
    this.#waiting = [];
    const bytes = Buffer.from(lines.map((text) => `${checkOf(text)} ${text}\n`).join(''));
    try {
      await writeFully(this.#handle, this.#endBytes, bytes);
      await this.#handle.datasync();
    } catch (error) {
      throw unwritable(error, this.#path);
    }
    this.#endBytes += bytes.length;
  }
}

interface Known {
  chunks: Map<number, ChunkRecord>;
  endBytes: number;
  viewId: string | undefined;
  sequenceNumber: number | undefined;
}

function isHeadOf(value: unknown, plan: CopyPlan): boolean {
  const head = headLine.safeParse(value);
  if (!head.success) return false;
  const found = head.data;
  return (Object.keys(plan) as (keyof CopyPlan)[]).every((key) => found[key] === plan[key]);
}

/** Takes a line in; false for one that is not ours, which ends what is believed. */
function takeLine(known: Known, value: unknown, chunkCount: number): boolean {
  const chunk = chunkLine.safeParse(value);
  if (chunk.success) {
    const [number, digest] = chunk.data;
    if (known.viewId === undefined || number >= chunkCount) return false;
    known.chunks.set(number, { digest, viewId: known.viewId });
    return true;
  }
  const view = viewLine.safeParse(value);
  const forgotten = forgottenLine.safeParse(value);
  const sequence = sequenceLine.safeParse(value);
  if (view.success) known.viewId = view.data.view;
  else if (sequence.success) known.sequenceNumber = sequence.data.sequenceNumber;
  else if (forgotten.success) known.chunks.delete(forgotten.data.forgotten);
  else if (resetLine.safeParse(value).success) known.chunks.clear();
  else return false;
  return true;
}

function readKnown(file: Buffer, plan: CopyPlan): Known | undefined {
  const known: Known = {
    ...{ chunks: new Map<number, ChunkRecord>(), endBytes: 0 },
    ...{ viewId: undefined, sequenceNumber: undefined },
  };
  const chunkCount = Math.ceil(plan.diskSizeBytes / plan.chunkBytes);
  for (const { value, endBytes } of wholeLines(file)) {
    if (known.endBytes === 0) {
      if (!isHeadOf(value, plan)) return undefined;
    } else if (!takeLine(known, value, chunkCount)) break;
    known.endBytes = endBytes;
  }
  return known.endBytes === 0 ? undefined : known;
}

function unwritable(error: unknown, path: string): unknown {
  return writeError(error, path, 'What was recorded before is kept.');
}

/** Forgets a cursor. One that is not there: no change. */
export async function removeCursor(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw unwritable(error, path);
  });
}
