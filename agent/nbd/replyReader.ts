// Takes the replies of a server apart: structured ones in chunks, simple ones from servers that know nothing else.
import type { NbdConnection } from './connection.ts';
import { answerInvalid, serverText } from './errors.ts';
import type { NbdExport } from './handshake.ts';
import * as nbd from './protocol.ts';
import type { PendingRequest } from './reply.ts';
import { LifeboatError } from '../../lib/errors.ts';

/** The requests in flight, by their cookies. */
export interface RequestTable {
  find(cookie: bigint): PendingRequest | undefined;
  /** The reply is complete. */
  finish(cookie: bigint): void;
}

interface ChunkHeader {
  type: number;
  isLast: boolean;
  lengthBytes: number;
  cookie: bigint;
  request: PendingRequest;
}

export class ReplyReader {
  readonly #connection: NbdConnection;
  readonly #export: NbdExport;
  readonly #requests: RequestTable;

  constructor(connection: NbdConnection, agreed: NbdExport, requests: RequestTable) {
    this.#connection = connection;
    this.#export = agreed;
    this.#requests = requests;
  }

  start(): void {
    if (this.#export.hasStructuredReplies)
      this.#connection.expect(Buffer.alloc(20), (header) => this.#readChunkHeader(header));
    else this.#connection.expect(Buffer.alloc(16), (header) => this.#readSimpleHeader(header));
  }

  #invalid(what: string): Error {
    return answerInvalid(this.#connection.location, `NBD: ${what}`);
  }

  #getRequest(cookie: bigint): PendingRequest {
    const request = this.#requests.find(cookie);
    if (!request) throw this.#invalid('a reply to no request');
    return request;
  }

  #readSimpleHeader(header: Buffer): void {
    if (header.readUInt32BE(0) !== nbd.simpleReplyMagic) throw this.#invalid('a reply without its magic');
    const cookie = header.readBigUInt64BE(8);
    const request = this.#getRequest(cookie);
    const error = header.readUInt32BE(4);
    const finish = (): void => {
      this.start();
      this.#requests.finish(cookie);
    };
    if (error !== 0) {
      request.error = this.#serverError(request, error, '');
      finish();
    } else
      this.#connection.expect(
        request.claim(this.#connection.location, BigInt(request.offsetBytes), request.lengthBytes),
        finish,
      );
  }

  #readChunkHeader(header: Buffer): void {
    if (header.readUInt32BE(0) !== nbd.structuredReplyMagic) throw this.#invalid('a reply without its magic');
    const cookie = header.readBigUInt64BE(8);
    const chunk: ChunkHeader = {
      isLast: (header.readUInt16BE(4) & nbd.chunk.doneFlag) !== 0,
      type: header.readUInt16BE(6),
      lengthBytes: header.readUInt32BE(16),
      cookie,
      request: this.#getRequest(cookie),
    };
    if (chunk.type === nbd.chunk.data) this.#readData(chunk);
    else if (chunk.type === nbd.chunk.hole) this.#readHole(chunk);
    else if (chunk.type === nbd.chunk.blockStatus) this.#readStatus(chunk);
    else if ((chunk.type & nbd.chunk.errorBit) !== 0) this.#readError(chunk);
    else if (chunk.type === nbd.chunk.none && chunk.lengthBytes === 0 && chunk.isLast) this.#endChunk(chunk);
    else throw this.#invalid(`a chunk of type ${chunk.type} with ${chunk.lengthBytes} bytes`);
  }

  #endChunk({ isLast, cookie }: ChunkHeader): void {
    this.start();
    if (isLast) this.#requests.finish(cookie);
  }

  #readData(chunk: ChunkHeader): void {
    if (chunk.lengthBytes <= 8) throw this.#invalid('a data chunk without data');
    this.#connection.expect(Buffer.alloc(8), (offset) => {
      const { location } = this.#connection;
      const place = chunk.request.claim(location, offset.readBigUInt64BE(0), chunk.lengthBytes - 8);
      this.#connection.expect(place, () => this.#endChunk(chunk));
    });
  }

  #readHole(chunk: ChunkHeader): void {
    if (chunk.lengthBytes !== 12) throw this.#invalid('a hole chunk of a wrong size');
    this.#connection.expect(Buffer.alloc(12), (hole) => {
      const { location } = this.#connection;
      chunk.request.claim(location, hole.readBigUInt64BE(0), hole.readUInt32BE(8)).fill(0);
      this.#endChunk(chunk);
    });
  }

  #readStatus(chunk: ChunkHeader): void {
    const { lengthBytes, request } = chunk;
    const isPossible = lengthBytes >= 12 && lengthBytes <= nbd.maxStatusBytes && lengthBytes % 8 === 4;
    if (!isPossible || request.buffer) throw this.#invalid(`a block status of ${lengthBytes} bytes`);
    this.#connection.expect(Buffer.allocUnsafe(lengthBytes), (body) => {
      const context = this.#export.contexts.get(body.readUInt32BE(0));
      if (context === undefined || request.status.has(context))
        throw this.#invalid('a block status of a context that was not asked for, or twice');
      const runs = [];
      for (let at = 4; at < lengthBytes; at += 8) {
        const run = { lengthBytes: body.readUInt32BE(at), flags: body.readUInt32BE(at + 4) };
        if (run.lengthBytes === 0) throw this.#invalid('a block status with an empty extent');
        runs.push(run);
      }
      request.status.set(context, runs);
      this.#endChunk(chunk);
    });
  }

  #readError(chunk: ChunkHeader): void {
    const { lengthBytes, request } = chunk;
    if (lengthBytes < 6 || lengthBytes > nbd.maxErrorBytes)
      throw this.#invalid(`an error of ${lengthBytes} bytes`);
    this.#connection.expect(Buffer.allocUnsafe(lengthBytes), (body) => {
      const text = serverText(body.subarray(6, 6 + body.readUInt16BE(4)));
      request.error ??= this.#serverError(request, body.readUInt32BE(0), text);
      this.#endChunk(chunk);
    });
  }

  #serverError({ offsetBytes, lengthBytes }: PendingRequest, error: number, text: string): LifeboatError {
    const { location } = this.#connection;
    const name = nbd.errorNames[error] ?? `error ${error}`;
    const range = `[${offsetBytes}, ${offsetBytes + lengthBytes})`;
    const message = `${location}: the NBD server cannot read ${range}: ${name}${text ? ` (${text})` : ''}`;
    return new LifeboatError('SourceReadFailed', message, { target: location });
  }
}
