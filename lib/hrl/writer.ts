// Writes a log into a sink as the writes come, in constant memory: nothing is kept but the entries of the current
// metadata block. The file is readable only after `close`, which rewrites the header; a writer that dies before
// leaves a log that every reader refuses as not closed.
import { makeUnclearedReadBuffer } from '../disk/readBuffer.ts';
import { assertInvariant } from '../errors.ts';
import { HrlEncoder, type FilePiece, type HrlWrite, type UnreadWrite } from './encoder.ts';
import type { HrlWriterOptions } from './newHeader.ts';

export type { HrlWrite, UnreadWrite, WriteSource } from './encoder.ts';
export type { HrlTotals, HrlWriterOptions } from './newHeader.ts';

/** Where a log goes. Writes arrive one after another, contiguous and ascending; the last one is [0, 4096) again. */
export interface HrlSink {
  /** The data may be reused by the caller after the promise resolved. */
  write(offsetBytes: number, data: Uint8Array): Promise<void>;
  /**
   * Has the next bytes read to their place, where the sink has memory of its own for them. Returns nothing, or a promise to
   * be awaited before the next call; the bytes may come later than that. The last write waits for them, and throws what kept
   * them away. Where this is missing, they are read first and written then.
   */
  fill?(write: UnreadWrite): Promise<void> | undefined;
}

/**
 * A log that is being written: open → closed, or open → failed when the sink or a read failed. `append` and `close` are for
 * an open log and must be awaited one at a time; anything else is a defect of the caller and throws at once.
 */
export class HrlWriter {
  readonly #sink: HrlSink;
  readonly #encoder: HrlEncoder;
  #state: 'open' | 'busy' | 'closed' | 'failed' = 'open';

  private constructor(sink: HrlSink, encoder: HrlEncoder) {
    this.#sink = sink;
    this.#encoder = encoder;
  }

  /** Writes the header of an open log. Throws RangeError for options that no log can have. */
  static async open(sink: HrlSink, options: HrlWriterOptions): Promise<HrlWriter> {
    const writer = new HrlWriter(sink, new HrlEncoder(options));
    await writer.#write(writer.#encoder.start());
    return writer;
  }

  /** Size that the closed log would have if nothing more came. */
  get sizeBytes(): number {
    return this.#encoder.sizeBytes;
  }

  get entryCount(): number {
    return this.#encoder.entryCount;
  }

  /**
   * Adds one write. `LogEntryUnaligned` when it is not made of 512-byte sectors, `LogTooLarge` when the log has as many
   * writes as a reader takes; the log stays open then.
   */
  async append(write: HrlWrite): Promise<void> {
    await this.#write(this.#openEncoder().append(write));
  }

  /**
   * Adds writes that are read on the way, some of them until the log is closed. Throws as `append`, what the source throws,
   * and what `writes` throws; the log has failed then.
   */
  async appendUnread(writes: Iterable<UnreadWrite>): Promise<void> {
    const encoder = this.#openEncoder();
    const sink = this.#sink;
    await this.#whileBusy(async () => {
      for (const write of writes) {
        if (sink.fill === undefined || encoder.withDataChecksums) {
          await this.#writeAll(encoder.append(await readWrite(write)));
          continue;
        }
        const { block } = encoder.place(write);
        const filling = sink.fill(write);
        if (filling !== undefined) await filling;
        if (block !== undefined) await this.#writeAll([block]);
      }
    });
  }

  /** Makes the log valid. Once. */
  async close(): Promise<void> {
    await this.#write(this.#openEncoder().finish());
    this.#state = 'closed';
  }

  #openEncoder(): HrlEncoder {
    assertInvariant(
      this.#state === 'open',
      `a log is written while open, one call at a time; it is ${this.#state}`,
    );
    return this.#encoder;
  }

  async #write(pieces: readonly FilePiece[]): Promise<void> {
    await this.#whileBusy(() => this.#writeAll(pieces));
  }

  async #writeAll(pieces: readonly FilePiece[]): Promise<void> {
    for (const { offsetBytes, data } of pieces) await this.#sink.write(offsetBytes, data);
  }

  async #whileBusy(work: () => Promise<void>): Promise<void> {
    this.#state = 'busy';
    try {
      await work();
      this.#state = 'open';
    } catch (error) {
      this.#state = 'failed';
      throw error;
    }
  }
}

async function readWrite({ lengthBytes, source, ...write }: UnreadWrite): Promise<HrlWrite> {
  const data = makeUnclearedReadBuffer(lengthBytes);
  await source.readInto(write.diskOffset, data);
  return { ...write, data };
}

/** A whole log in memory, for small ones and tests. */
export function buildHrl(writes: Iterable<HrlWrite>, options: HrlWriterOptions): Uint8Array {
  const encoder = new HrlEncoder(options);
  const pieces = encoder.start();
  for (const write of writes) pieces.push(...encoder.append(write));
  pieces.push(...encoder.finish());
  const log = new Uint8Array(encoder.sizeBytes);
  for (const { offsetBytes, data } of pieces) log.set(data, offsetBytes);
  return log;
}
