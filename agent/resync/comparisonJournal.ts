// What a comparison has found so far, in a file: one line a segment, flushed before the next segment is begun. Reading it
// stops at the first line that is not whole, so a process may die, or a machine lose power, at any moment.
import { createHash } from 'node:crypto';
import { open, readFile, type FileHandle } from 'node:fs/promises';
import * as z from 'zod';
import { blockCount, fineBlockBytes } from '../../lib/resync/blocks.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';
import { errnoOf, readError, writeError } from '../fileErrors.ts';
import { writeFully } from '../fileWrite.ts';
import type { SegmentDifference } from './segmentDifference.ts';

/** What the findings are of. When any of it is another, they are worthless. */
export interface ComparisonIdentity {
  item: string;
  disk: string;
  generation: string;
  /** Of the frozen view: another one when its bytes may be. */
  sourceId: string;
  diskSizeBytes: number;
  /** The comparison, or this part of it, begins here. */
  firstSegment: number;
}

/** One line: a segment's difference, and the time that it took. */
export interface JournalEntry extends SegmentDifference {
  activeMs: number;
}

/** Where findings are kept. One comparison uses it at a time. */
export interface ComparisonJournal {
  /** The entries that were recorded under this identity, ascending and without gaps. Others are forgotten, durably. */
  begin(identity: ComparisonIdentity): Promise<JournalEntry[]>;
  /** Durable when it resolves. */
  append(entry: JournalEntry): Promise<void>;
}

const formatVersion = 1;
const checkLength = 16;

const headLine = z.strictObject({
  comparison: z.literal(formatVersion),
  item: z.string(),
  disk: z.string(),
  generation: z.string(),
  sourceId: z.string(),
  diskSizeBytes: z.number(),
  firstSegment: z.number(),
});

const count = z.number().int().min(0);
const entryLine = z.strictObject({
  segment: count,
  /** First 4 KiB block and how many, again and again. */
  blocks: z.array(count),
  contentSha256: z.string(),
  bytesRead: count,
  bytesSkipped: count,
  activeMs: z.number(),
});

/** The check is over the text and the line before it, so that lines of two journals never mix. */
function checkOf(text: string, previousCheck: string): string {
  return createHash('sha256').update(previousCheck).update(text).digest('hex').slice(0, checkLength);
}

interface KnownLine {
  value: unknown;
  check: string;
  endBytes: number;
}

/** The whole lines of the file, up to the first one that is not. */
function* wholeLines(file: Buffer): Generator<KnownLine, void, undefined> {
  let check = '';
  for (let start = 0; ;) {
    const end = file.indexOf('\n', start);
    if (end < 0) return;
    const line = file.toString('utf8', start, end);
    const text = line.slice(checkLength + 1);
    check = checkOf(text, check);
    if (line.slice(0, checkLength) !== check || line[checkLength] !== ' ') return;
    start = end + 1;
    yield { value: JSON.parse(text) as unknown, check, endBytes: start };
  }
}

/** Keeps the findings in a file, which is made when there is none. Throws AgentError for the file. */
export class JournalFile implements ComparisonJournal, AsyncDisposable {
  readonly #path: string;
  #handle: FileHandle | undefined;
  #endBytes = 0;
  #lastCheck = '';

  constructor(path: string) {
    this.#path = path;
  }

  async begin(identity: ComparisonIdentity): Promise<JournalEntry[]> {
    await this.close();
    const file = await readFile(this.#path).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return Buffer.alloc(0);
      throw readError(error, this.#path);
    });
    const entries = this.#readEntries(file, identity);
    try {
      this.#handle = await open(this.#path, entries === undefined ? 'w' : 'r+');
      if (entries !== undefined) await this.#handle.truncate(this.#endBytes);
    } catch (error) {
      throw this.#unwritable(error);
    }
    if (entries !== undefined) return entries;
    await this.#write({ comparison: formatVersion, ...identity });
    return [];
  }

  async append({ extents, ...entry }: JournalEntry): Promise<void> {
    const blocks = extents.flatMap(({ offsetBytes, lengthBytes }) => [
      offsetBytes / fineBlockBytes,
      blockCount(lengthBytes, fineBlockBytes),
    ]);
    await this.#write({ ...entry, blocks });
  }

  /** May be called twice. */
  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The entries under this identity, or undefined when the file is of another. Notes where the last whole line ends. */
  #readEntries(file: Buffer, identity: ComparisonIdentity): JournalEntry[] | undefined {
    this.#endBytes = 0;
    this.#lastCheck = '';
    const entries: JournalEntry[] = [];
    for (const { value, check, endBytes } of wholeLines(file)) {
      if (this.#endBytes === 0) {
        if (!isHeadOf(value, identity)) return undefined;
      } else {
        const entry = toEntry(value, identity.diskSizeBytes);
        if (entry?.segment !== identity.firstSegment + entries.length) break;
        entries.push(entry);
      }
      this.#endBytes = endBytes;
      this.#lastCheck = check;
    }
    return this.#endBytes === 0 ? undefined : entries;
  }

  async #write(line: object): Promise<void> {
    const text = JSON.stringify(line);
    const check = checkOf(text, this.#lastCheck);
    const bytes = Buffer.from(`${check} ${text}\n`);
    if (this.#handle === undefined) throw new Error('The journal is not begun.');
    try {
      await writeFully(this.#handle, this.#endBytes, bytes);
      await this.#handle.datasync();
    } catch (error) {
      throw this.#unwritable(error);
    }
    this.#endBytes += bytes.length;
    this.#lastCheck = check;
  }

  #unwritable(error: unknown): unknown {
    return writeError(error, this.#path, 'What was found before is kept.');
  }
}

function isHeadOf(value: unknown, identity: ComparisonIdentity): boolean {
  const head = headLine.safeParse(value);
  if (!head.success) return false;
  const found = head.data;
  return (
    found.item === identity.item &&
    found.disk === identity.disk &&
    found.generation === identity.generation &&
    found.sourceId === identity.sourceId &&
    found.diskSizeBytes === identity.diskSizeBytes &&
    found.firstSegment === identity.firstSegment
  );
}

function toEntry(value: unknown, diskSizeBytes: number): JournalEntry | undefined {
  const line = entryLine.safeParse(value);
  if (!line.success) return undefined;
  const { blocks, ...entry } = line.data;
  const extents: ByteRange[] = [];
  for (let index = 0; index + 1 < blocks.length; index += 2) {
    const offsetBytes = (blocks[index] ?? 0) * fineBlockBytes;
    const lengthBytes = (blocks[index + 1] ?? 0) * fineBlockBytes;
    extents.push({ offsetBytes, lengthBytes: Math.min(lengthBytes, diskSizeBytes - offsetBytes) });
  }
  return { ...entry, extents };
}
