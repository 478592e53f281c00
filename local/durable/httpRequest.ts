// A management request as the API's handlers see it. Bodies are JSON, bounded, and checked before anything is done with them.
import type { IncomingMessage } from 'node:http';
import { errorText } from './errorText.ts';
import { RequestError } from './httpQuery.ts';

export interface ApiRequest {
  method: string;
  segments: string[];
  query: URLSearchParams;
  continuationToken: string | undefined;
  contentType: string;
  readBody(): Promise<string>;
}

const bodyLimitBytes = 16 * 1024 * 1024;

/** Reads nothing of the body yet. */
export function toApiRequest(
  request: IncomingMessage,
  segments: string[],
  query: URLSearchParams,
): ApiRequest {
  const token = request.headers['x-ms-continuation-token'];
  return {
    method: request.method ?? 'GET',
    segments,
    query,
    continuationToken: typeof token === 'string' && token !== '' ? token : undefined,
    contentType: request.headers['content-type'] ?? '',
    readBody: () => readText(request),
  };
}

/** One segment of the path. */
export function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    // The SDK does not encode ids, so a bare % is part of the id.
    return segment;
  }
}

/** JSON text of an event, or empty. @throws RequestError 400 */
export async function readEventBody(request: ApiRequest): Promise<string> {
  const body = await request.readBody();
  if (body === '') return '';
  if (!/^application\/(.*\+)?json\b/i.test(request.contentType)) {
    throw new RequestError(
      400,
      `The event's content type is '${request.contentType}'; only application/json is accepted.`,
    );
  }
  return parseJsonText(body) ?? '';
}

/** The text itself when it is JSON; undefined when it is empty. @throws RequestError 400 */
export function parseJsonText(body: string): string | undefined {
  if (body.trim() === '') return undefined;
  try {
    JSON.parse(body);
  } catch (error) {
    throw new RequestError(400, `The body is not JSON: ${errorText(error)}`);
  }
  return body;
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > bodyLimitBytes)
      throw new RequestError(
        413,
        `The body is larger than ${bodyLimitBytes} bytes; pass a blob's name instead.`,
      );
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
