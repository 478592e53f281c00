// Reads a request's body up to a limit, and no further: what a caller sends beyond it never lies in memory.
import type { HttpRequest } from '@azure/functions';
import { LifeboatError } from '../../lib/errors.ts';

function tooLarge(limitBytes: number): LifeboatError {
  const message = `The request body is larger than ${limitBytes} bytes.`;
  return new LifeboatError('RequestTooLarge', message, { target: 'body' });
}

/** The body's bytes. Throws `RequestTooLarge`. */
export async function readBytes(request: HttpRequest, limitBytes: number): Promise<Uint8Array> {
  if (Number(request.headers.get('content-length') ?? 0) > limitBytes) throw tooLarge(limitBytes);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    const bytes = chunk as Uint8Array;
    size += bytes.byteLength;
    if (size > limitBytes) throw tooLarge(limitBytes);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/** The body as UTF-8. Throws `RequestTooLarge`, and `InvalidRequest` for bytes that are no UTF-8. */
export async function readText(request: HttpRequest, limitBytes: number): Promise<string> {
  const bytes = await readBytes(request, limitBytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new LifeboatError('InvalidRequest', 'The request body is not UTF-8.', { cause, target: 'body' });
  }
}
