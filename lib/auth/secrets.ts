// Secrets that callers carry: made from 256 random bits, kept as digests, compared in constant time.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

const secretBytes = 32;

export const newSecret = (): string => randomBytes(secretBytes).toString('base64url');

/** What is stored of a secret. A plain digest is enough: nobody can guess 256 random bits. */
export const digestOf = (secret: string): string => createHash('sha256').update(secret).digest('base64url');

/** Compares digests, so that the time taken says nothing about the secret. */
export function isSecret(given: string, expectedDigest: string): boolean {
  const expected = Buffer.from(expectedDigest, 'base64url');
  const actual = createHash('sha256').update(given).digest();
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

/** `<kind>_<id>_<secret>`: the id finds the row, the secret proves. */
export const formatCredential = (kind: string, id: string, secret: string): string =>
  `${kind}_${id}_${secret}`;

/** The id and the secret, or undefined when the text is no credential of this kind. */
export function parseCredential(kind: string, text: string): { id: string; secret: string } | undefined {
  const match = /^([a-z]+)_([0-9a-f-]{36})_([A-Za-z0-9_-]{43})$/.exec(text);
  const [, foundKind, id, secret] = match ?? [];
  return foundKind === kind && id !== undefined && secret !== undefined ? { id, secret } : undefined;
}
