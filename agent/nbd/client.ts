// An NBD client that reads: pipelined reads in any order, and what the server knows of its blocks.
import type { ByteRange } from '../../lib/storage/ports.ts';
import { formatNbdUri, type NbdAddress } from './address.ts';
import { NbdConnection } from './connection.ts';
import { answerInvalid, serverGone } from './errors.ts';
import { shakeHands, type NbdExport } from './handshake.ts';
import * as nbd from './protocol.ts';
import { PendingRequest } from './reply.ts';
import { ReplyReader } from './replyReader.ts';

export interface NbdOptions extends NbdAddress {
  /** Metadata contexts that must be there, e.g. `base:allocation`. */
  contexts?: readonly string[];
  /** What errors call the export; its URI when omitted. */
  location?: string;
  /** From the connection to the agreement; 10 s when omitted. */
  connectTimeoutMs?: number;
  /** The longest that requests may wait without any of them being answered; 60 s when omitted. */
  idleTimeoutMs?: number;
}

/** A run of an export with the flags that a context gives it. */
export interface StatusExtent extends ByteRange {
  flags: number;
}

/** One connection to one export. Methods may be called at the same time; after a failure all of them fail. */
export class NbdClient implements AsyncDisposable {
  readonly location: string;
  readonly sizeBytes: number;
  readonly isReadOnly: boolean;
  readonly #connection: NbdConnection;
  readonly #export: NbdExport;
  readonly #idleTimeoutMs: number;
  readonly #pending = new Map<bigint, PendingRequest>();
  readonly #queue: (() => void)[] = [];
  #nextCookie = 1n;
  #idleTimer: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  private constructor(connection: NbdConnection, agreed: NbdExport, idleTimeoutMs: number) {
    this.location = connection.location;
    this.sizeBytes = agreed.sizeBytes;
    this.isReadOnly = agreed.isReadOnly;
    this.#connection = connection;
    this.#export = agreed;
    this.#idleTimeoutMs = idleTimeoutMs;
    const requests = {
      find: (cookie: bigint) => this.#pending.get(cookie),
      finish: (cookie: bigint) => this.#finish(cookie),
    };
    new ReplyReader(connection, agreed, requests).start();
    connection.onFailure((error) => this.#failAll(error));
  }

  /**
   * Connects and agrees. Throws `SourceUnavailable` when nobody answers in time, `SourceAnswerInvalid` when the server
   * lacks the export, a context, or breaks the protocol.
   */
  static async connect(options: NbdOptions): Promise<NbdClient> {
    const { location = formatNbdUri(options), connectTimeoutMs = 10_000, idleTimeoutMs = 60_000 } = options;
    const connection = new NbdConnection(options, location);
    const timer = setTimeout(
      () => connection.fail(serverGone(location, `no answer within ${connectTimeoutMs} ms`)),
      connectTimeoutMs,
    );
    try {
      const agreed = await shakeHands(connection, options.exportName, options.contexts ?? []);
      return new NbdClient(connection, agreed, idleTimeoutMs);
    } catch (error) {
      connection.fail(error instanceof Error ? error : new Error(String(error)));
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Exactly these bytes, whatever their length and alignment. Throws `SourceReadFailed` when the server cannot. */
  async read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    const { minBlockBytes, maxRequestBytes } = this.#export;
    if (offsetBytes < 0 || lengthBytes < 0 || offsetBytes + lengthBytes > this.sizeBytes)
      throw new RangeError(
        `${this.location}: read [${offsetBytes}, ${offsetBytes + lengthBytes}) of ${this.sizeBytes} bytes`,
      );
    const start = Math.floor(offsetBytes / minBlockBytes) * minBlockBytes;
    const end = Math.min(
      this.sizeBytes,
      Math.ceil((offsetBytes + lengthBytes) / minBlockBytes) * minBlockBytes,
    );
    const bytes = Buffer.allocUnsafe(end - start);
    const limitBytes = Math.min(
      nbd.maxReadBytes,
      Math.floor(maxRequestBytes / minBlockBytes) * minBlockBytes,
    );
    const requests: Promise<unknown>[] = [];
    for (let at = start; at < end; at += limitBytes) {
      const length = Math.min(limitBytes, end - at);
      requests.push(
        this.#request(nbd.command.read, at, length, bytes.subarray(at - start, at - start + length)),
      );
    }
    const failed = (await Promise.allSettled(requests)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
    return bytes.subarray(offsetBytes - start, offsetBytes - start + lengthBytes);
  }

  /**
   * What one context says of the whole window: ascending, covering it exactly, neighbours of different flags joined.
   * `visit` gets one run after another, so that the caller decides what to keep.
   */
  async forEachStatus(context: string, window: ByteRange, visit: (run: StatusExtent) => void): Promise<void> {
    if (![...this.#export.contexts.values()].includes(context))
      throw new RangeError(`${this.location}: context ${context} was not asked for`);
    const { minBlockBytes } = this.#export;
    const windowEnd = window.offsetBytes + window.lengthBytes;
    const end = Math.min(this.sizeBytes, Math.ceil(windowEnd / minBlockBytes) * minBlockBytes);
    let at = Math.floor(window.offsetBytes / minBlockBytes) * minBlockBytes;
    while (at < end && window.lengthBytes > 0) {
      const request = await this.#request(
        nbd.command.blockStatus,
        at,
        Math.min(nbd.maxStatusWindowBytes, end - at),
      );
      const runs = request.status.get(context);
      if (!runs) throw answerInvalid(this.location, `NBD: no block status of ${context}`);
      for (const { lengthBytes, flags } of runs) {
        const from = Math.max(at, window.offsetBytes);
        const to = Math.min(at + lengthBytes, windowEnd);
        // The last run of an answer may reach past what was asked for.
        if (from < to) visit({ offsetBytes: from, lengthBytes: to - from, flags });
        at += lengthBytes;
      }
    }
  }

  async #request(
    command: number,
    offsetBytes: number,
    lengthBytes: number,
    buffer?: Buffer,
  ): Promise<PendingRequest> {
    while (this.#pending.size >= nbd.maxInFlight && !this.#connection.failure)
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    if (this.#connection.failure) throw this.#connection.failure;
    const request = new PendingRequest(offsetBytes, lengthBytes, buffer);
    const cookie = this.#nextCookie++;
    this.#pending.set(cookie, request);
    if (this.#pending.size === 1) this.#watch();
    this.#connection.write(encodeRequest(command, cookie, offsetBytes, lengthBytes));
    await request.promise;
    return request;
  }

  /** Starts the wait for an answer anew. */
  #watch(): void {
    clearTimeout(this.#idleTimer);
    if (this.#pending.size === 0) return;
    this.#idleTimer = setTimeout(
      () =>
        this.#connection.fail(
          serverGone(this.location, `the NBD server answered no request within ${this.#idleTimeoutMs} ms`),
        ),
      this.#idleTimeoutMs,
    );
  }

  #finish(cookie: bigint): void {
    const request = this.#pending.get(cookie);
    this.#pending.delete(cookie);
    this.#watch();
    this.#queue.shift()?.();
    request?.finish(this.location);
  }

  #failAll(error: Error): void {
    clearTimeout(this.#idleTimer);
    for (const request of this.#pending.values()) request.fail(error);
    this.#pending.clear();
    for (const go of this.#queue.splice(0)) go();
  }

  /** Says goodbye; requests in flight fail. May be called twice. */
  close(): Promise<void> {
    return (this.#closed ??= this.#connection.end(
      encodeRequest(nbd.command.disconnect, this.#nextCookie, 0, 0),
      serverGone(this.location, 'the connection was closed'),
    ));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function encodeRequest(command: number, cookie: bigint, offsetBytes: number, lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt32BE(nbd.requestMagic);
  bytes.writeUInt16BE(command, 6);
  bytes.writeBigUInt64BE(cookie, 8);
  bytes.writeBigUInt64BE(BigInt(offsetBytes), 16);
  bytes.writeUInt32BE(lengthBytes, 24);
  return bytes;
}
