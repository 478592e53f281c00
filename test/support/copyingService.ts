// Put Page From URL for an emulator that has none, as the service documents it and stricter: a request that lacks a
// header, or has one that contradicts another, is refused. The source is read with the URL that the request brings, so
// the emulator judges its signature, its expiry and the version condition; it judges lease and sequence number too.
import { BlobServiceClient, RestError } from '@azure/storage-blob';
import type { Intercept, ProxiedAnswer, ProxiedRequest } from './storageProxy.ts';

export interface CopyingService {
  intercept: Intercept;
  /** The copies that were carried out or refused, with the status that they got. */
  copies: { range: string; sourceRange: string; source: URL; status: number }[];
}

const limitBytes = 4 * 1024 * 1024;
const urlLimitBytes = 2048;
const knownHeaders = new Set([
  ...['x-ms-page-write', 'x-ms-version', 'x-ms-date', 'x-ms-copy-source', 'x-ms-range', 'x-ms-source-range'],
  ...['x-ms-source-if-match', 'x-ms-lease-id', 'x-ms-if-sequence-number-eq'],
]);

/** A request that the service would not take at all. */
class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function copyingService(azurite: { blobEndpoint: string; connectionString: string }): CopyingService {
  const account = BlobServiceClient.fromConnectionString(azurite.connectionString);
  const copies: CopyingService['copies'] = [];

  const carryOut = async (request: ProxiedRequest): Promise<void> => {
    const header = (name: string): string => requireHeader(request, name);
    checkHeaders(request);
    const target = parseRange(header('x-ms-range'));
    const length = target.end - target.start;
    if (target.start % 512 !== 0 || length % 512 !== 0)
      throw new Refusal(416, 'InvalidPageRange', 'alignment');
    if (length > limitBytes) throw new Refusal(413, 'RequestBodyTooLarge', `${length} bytes`);
    const source = parseRange(header('x-ms-source-range'));
    if (source.end - source.start !== length) throw new Refusal(400, 'InvalidHeaderValue', 'lengths differ');
    const bytes = await readSource(azurite.blobEndpoint, request);
    const [container = '', ...name] = new URL(request.url, azurite.blobEndpoint).pathname.split('/').slice(2);
    const blob = account.getContainerClient(container).getPageBlobClient(decodeURIComponent(name.join('/')));
    const { contentLength = 0 } = await blob.getProperties();
    if (target.end > contentLength) throw new Refusal(416, 'InvalidPageRange', 'past the end');
    await blob.uploadPages(bytes, target.start, length, {
      conditions: {
        leaseId: header('x-ms-lease-id'),
        ifSequenceNumberEqualTo: Number(header('x-ms-if-sequence-number-eq')),
      },
    });
  };

  return {
    copies,
    async intercept(request, forward) {
      const source = request.headers['x-ms-copy-source'];
      const isCopy =
        request.method === 'PUT' && /[?&]comp=page(&|$)/.test(request.url) && source !== undefined;
      if (!isCopy) return forward();
      const answer = await carryOut(request).then(
        () => answerOf(201),
        (error: unknown) => refusalOf(error),
      );
      copies.push({
        range: String(request.headers['x-ms-range']),
        sourceRange: String(request.headers['x-ms-source-range']),
        source: new URL(String(source)),
        status: answer.status,
      });
      return answer;
    },
  };
}

/** Everything that a request can be refused for by itself. */
function checkHeaders(request: ProxiedRequest): void {
  const header = (name: string): string => requireHeader(request, name);
  const refuse = (why: string): never => {
    throw new Refusal(400, 'InvalidHeaderValue', why);
  };
  if (header('content-length') !== '0' || request.body.length > 0) refuse('Content-Length is not 0');
  if (header('x-ms-page-write') !== 'update') refuse('x-ms-page-write');
  if (header('x-ms-version') < '2018-11-09') refuse('x-ms-version has no such operation');
  if (Number.isNaN(Date.parse(header('x-ms-date')))) refuse('x-ms-date');
  if (header('x-ms-copy-source').length > urlLimitBytes) refuse('x-ms-copy-source is too long');
  const extra = Object.keys(request.headers).find((name) => isUnknownHeader(name));
  if (extra !== undefined) refuse(extra);
  if (!header('authorization').startsWith('SharedKey '))
    throw new Refusal(403, 'AuthenticationFailed', 'key');
}

/** Whatever the request could mean by it, it was not thought of: ranges, checksums and conditions are named above. */
function isUnknownHeader(name: string): boolean {
  if (/^(range|if-|content-md5)/.test(name)) return true;
  return /^x-ms-(?!client-request-id$|return-client-request-id$)/.test(name) && !knownHeaders.has(name);
}

/** Reads what the request names, with nothing but what the request brings. */
async function readSource(blobEndpoint: string, request: ProxiedRequest): Promise<Buffer> {
  const url = new URL(requireHeader(request, 'x-ms-copy-source'));
  url.host = new URL(blobEndpoint).host;
  // A snapshot never changes; anything else is named with its version.
  const version = url.searchParams.has('snapshot')
    ? {}
    : { 'if-match': requireHeader(request, 'x-ms-source-if-match') };
  const response = await fetch(url, {
    headers: {
      'x-ms-version': '2025-11-05',
      'x-ms-range': requireHeader(request, 'x-ms-source-range'),
      ...version,
    },
  });
  const body = Buffer.from(await response.arrayBuffer());
  if (response.status === 412)
    throw new Refusal(412, 'SourceConditionNotMet', 'the source is another version');
  if (!response.ok) throw new Refusal(response.status, 'CannotVerifyCopySource', 'the source cannot be read');
  return body;
}

function requireHeader({ headers }: ProxiedRequest, name: string): string {
  const value = headers[name];
  if (typeof value !== 'string' || value === '') throw new Refusal(400, 'MissingRequiredHeader', name);
  return value;
}

function parseRange(text: string): { start: number; end: number } {
  const match = /^bytes=(\d+)-(\d+)$/.exec(text);
  if (match === null) throw new Refusal(400, 'InvalidHeaderValue', text);
  return { start: Number(match[1]), end: Number(match[2]) + 1 };
}

function answerOf(status: number, code?: string): ProxiedAnswer {
  const headers = { 'x-ms-version': '2025-11-05', etag: '"copied"', 'content-length': '0' };
  return {
    status,
    headers: code === undefined ? headers : { ...headers, 'x-ms-error-code': code },
    body: Buffer.alloc(0),
  };
}

function refusalOf(error: unknown): ProxiedAnswer {
  if (error instanceof Refusal) return answerOf(error.status, error.code);
  if (error instanceof RestError) return answerOf(error.statusCode ?? 500, error.code);
  throw error;
}
