import { HttpRequest } from '@azure/functions';
import { describe, expect, it } from 'vitest';
import { readBytes, readText } from '../../../functions/http/requestBody.ts';

const requestOf = (string: string) =>
  new HttpRequest({ method: 'PUT', url: 'http://localhost/', body: { string } });

/** A body that never ends, and counts what was taken of it. */
function endless(headers: Record<string, string> = {}) {
  const taken = { bytes: 0 };
  const request = {
    headers: new Headers(headers),
    body: (async function* () {
      for (;;) {
        taken.bytes += 1000;
        yield new Uint8Array(1000);
      }
    })(),
  } as unknown as HttpRequest;
  return { request, taken };
}

describe('the body of a request', () => {
  it('is read as it was sent', async () => {
    expect(await readText(requestOf('äöü {}'), 100)).toBe('äöü {}');
    expect(await readText(requestOf(''), 100)).toBe('');
    expect(Buffer.from(await readBytes(requestOf('abc'), 3)).toString()).toBe('abc');
  });

  it('is not read beyond the limit', async () => {
    await expect(readText(requestOf('abcd'), 3)).rejects.toMatchObject({ code: 'RequestTooLarge' });
    const { request, taken } = endless();
    await expect(readBytes(request, 10_000)).rejects.toMatchObject({ code: 'RequestTooLarge' });
    expect(taken.bytes).toBe(11_000);
  });

  it('is not read at all when it says that it is too long', async () => {
    const { request, taken } = endless({ 'content-length': '10001' });
    await expect(readBytes(request, 10_000)).rejects.toMatchObject({ code: 'RequestTooLarge' });
    expect(taken.bytes).toBe(0);
  });

  it('must be UTF-8 where text is expected', async () => {
    const request = new HttpRequest({
      method: 'PUT',
      url: 'http://localhost/',
      body: { bytes: Uint8Array.of(0xff, 0xfe) },
    });
    await expect(readText(request, 100)).rejects.toMatchObject({ code: 'InvalidRequest' });
  });
});
