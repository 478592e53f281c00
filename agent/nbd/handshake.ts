// Fixed newstyle negotiation: structured replies, metadata contexts, then GO.
import type { NbdConnection } from './connection.ts';
import { answerInvalid, serverText } from './errors.ts';
import * as nbd from './protocol.ts';

/** What was agreed on. */
export interface NbdExport {
  sizeBytes: number;
  isReadOnly: boolean;
  hasStructuredReplies: boolean;
  /** Reads and windows must be multiples of this. */
  minBlockBytes: number;
  maxRequestBytes: number;
  /** Names of the contexts by the numbers that the server gave them. */
  contexts: ReadonlyMap<number, string>;
}

const uint16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
};
const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint32(bytes.length), bytes]);
};

/** Sends an option; calls `onReply` for each reply before the acknowledgement. Returns the error number, 0 for none. */
async function negotiate(
  connection: NbdConnection,
  optionNumber: number,
  data: Buffer,
  onReply: (type: number, body: Buffer) => void = () => undefined,
): Promise<{ error: number; message: string }> {
  const head = Buffer.alloc(16);
  head.writeBigUInt64BE(nbd.optionMagic);
  head.writeUInt32BE(optionNumber, 8);
  head.writeUInt32BE(data.length, 12);
  connection.write(Buffer.concat([head, data]));
  for (let count = 0; count < nbd.maxOptionReplies; count++) {
    const reply = await connection.take(20);
    if (reply.readBigUInt64BE(0) !== nbd.optionReplyMagic || reply.readUInt32BE(8) !== optionNumber)
      throw answerInvalid(connection.location, 'NBD: a reply to no option that was sent');
    const type = reply.readUInt32BE(12);
    const lengthBytes = reply.readUInt32BE(16);
    if (lengthBytes > nbd.maxOptionReplyBytes)
      throw answerInvalid(connection.location, `NBD: a reply of ${lengthBytes} bytes to an option`);
    const body = await connection.take(lengthBytes);
    if (type === nbd.optionReply.ack) return { error: 0, message: '' };
    if (type >= 2 ** 31) return { error: type - 2 ** 31, message: serverText(body) };
    onReply(type, body);
  }
  throw answerInvalid(connection.location, 'NBD: too many replies to one option');
}

function refusal(
  connection: NbdConnection,
  what: string,
  { error, message }: { error: number; message: string },
): Error {
  const reason = nbd.optionError[error] ?? `error ${error}`;
  return answerInvalid(connection.location, `NBD: ${what}: ${reason}${message ? ` (${message})` : ''}`);
}

async function agreeOnContexts(
  connection: NbdConnection,
  exportName: string,
  wanted: readonly string[],
): Promise<Map<number, string>> {
  const contexts = new Map<number, string>();
  const request = Buffer.concat([text(exportName), uint32(wanted.length), ...wanted.map(text)]);
  const answer = await negotiate(connection, nbd.option.setMetaContext, request, (type, body) => {
    if (type !== nbd.optionReply.metaContext) return;
    if (body.length < 4) throw answerInvalid(connection.location, 'NBD: a metadata context without a number');
    const name = body.toString('utf8', 4);
    // A context nobody asked for would take part in the answers.
    if (wanted.includes(name)) contexts.set(body.readUInt32BE(0), name);
  });
  if (answer.error !== 0) throw refusal(connection, 'metadata contexts', answer);
  // A server drops unknown ones in silence; the disk would then look unchanged.
  const missing = wanted.filter((name) => ![...contexts.values()].includes(name));
  if (missing.length > 0)
    throw answerInvalid(connection.location, `the export has no metadata context ${missing.join(', ')}`);
  return contexts;
}

interface ExportInfo {
  sizeBytes: number;
  flags: number;
  minBlockBytes: number;
  maxRequestBytes: number;
}

function readInfo(connection: NbdConnection, found: ExportInfo, body: Buffer): void {
  const type = body.length >= 2 ? body.readUInt16BE(0) : -1;
  if (type === nbd.info.export && body.length >= 12) {
    const size = body.readBigUInt64BE(2);
    if (size > BigInt(Number.MAX_SAFE_INTEGER))
      throw answerInvalid(connection.location, `NBD: an export of ${size} bytes`);
    found.sizeBytes = Number(size);
    found.flags = body.readUInt16BE(10);
  }
  if (type === nbd.info.blockSize && body.length >= 14) {
    found.minBlockBytes = body.readUInt32BE(2);
    found.maxRequestBytes = body.readUInt32BE(10);
  }
}

async function go(connection: NbdConnection, exportName: string): Promise<ExportInfo> {
  const found: ExportInfo = { sizeBytes: -1, flags: 0, minBlockBytes: 1, maxRequestBytes: 2 ** 25 };
  const request = Buffer.concat([text(exportName), uint16(1), uint16(nbd.info.blockSize)]);
  const answer = await negotiate(connection, nbd.option.go, request, (type, body) => {
    if (type === nbd.optionReply.info) readInfo(connection, found, body);
  });
  if (answer.error !== 0) throw refusal(connection, `export "${exportName}"`, answer);
  if (found.sizeBytes < 0) throw answerInvalid(connection.location, 'NBD: the server does not say the size');
  const { minBlockBytes, maxRequestBytes } = found;
  const isSane =
    minBlockBytes >= 1 &&
    minBlockBytes <= 65_536 &&
    (minBlockBytes & (minBlockBytes - 1)) === 0 &&
    maxRequestBytes >= minBlockBytes;
  if (!isSane)
    throw answerInvalid(connection.location, `NBD: blocks of ${minBlockBytes} to ${maxRequestBytes} bytes`);
  return found;
}

/**
 * Agrees with the server on the export. Every context in `contexts` must be there, otherwise `SourceAnswerInvalid`;
 * without contexts a server without structured replies will do.
 */
export async function shakeHands(
  connection: NbdConnection,
  exportName: string,
  contexts: readonly string[],
): Promise<NbdExport> {
  const hello = await connection.take(18);
  const serverFlags = hello.readUInt16BE(16);
  const isKnown = hello.toString('latin1', 0, 16) === nbd.handshakeMagic;
  if (!isKnown || (serverFlags & nbd.handshakeFlags.fixedNewstyle) === 0)
    throw answerInvalid(connection.location, 'is no NBD server that speaks the fixed newstyle protocol');
  connection.write(uint32(serverFlags & (nbd.handshakeFlags.fixedNewstyle | nbd.handshakeFlags.noZeroes)));
  const structured = await negotiate(connection, nbd.option.structuredReply, Buffer.alloc(0));
  const hasStructuredReplies = structured.error === 0;
  if (!hasStructuredReplies && (structured.error !== nbd.unsupportedOption || contexts.length > 0))
    throw refusal(connection, 'structured replies', structured);
  const agreed =
    contexts.length > 0 ? await agreeOnContexts(connection, exportName, contexts) : new Map<number, string>();
  const { sizeBytes, flags, minBlockBytes, maxRequestBytes } = await go(connection, exportName);
  return {
    sizeBytes,
    isReadOnly: (flags & 2) !== 0,
    hasStructuredReplies,
    minBlockBytes,
    maxRequestBytes,
    contexts: agreed,
  };
}
