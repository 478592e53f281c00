// Which key opens what, and that keys stay the same.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Access, type HostKeys, isSameSecret, openHostKeys } from '../../../local/http/hostKeys.ts';

const folder = mkdtempSync(join(tmpdir(), 'keys-'));
const file = join(folder, 'keys.json');
let keys: HostKeys;
beforeAll(async () => {
  keys = await openHostKeys(file);
});
afterAll(() => rmSync(folder, { recursive: true }));

const inHeader = (key: string, url = '/'): IncomingMessage =>
  ({ url, headers: { 'x-functions-key': key } }) as unknown as IncomingMessage;
const inQuery = (key: string): IncomingMessage =>
  ({ url: `/a?x=1&code=${encodeURIComponent(key)}`, headers: {} }) as unknown as IncomingMessage;

const durable: Access = { systemKey: 'durabletask_extension' };
const blobs: Access = { systemKey: 'blobs_extension' };

describe('permits', () => {
  it.each<[string, () => string, [boolean, boolean, boolean, boolean, boolean]]>([
    ['no key', () => '', [true, false, false, false, false]],
    ['a wrong key', () => 'wrong', [true, false, false, false, false]],
    ['the function key', () => keys.functionKey, [true, true, false, false, false]],
    ['the Durable key', () => keys.systemKey('durabletask_extension'), [true, false, false, true, false]],
    ['the blob key', () => keys.systemKey('blobs_extension'), [true, false, false, false, true]],
    ['the master key', () => keys.masterKey, [true, true, true, true, true]],
    ['the start of the master key', () => keys.masterKey.slice(0, -1), [true, false, false, false, false]],
  ])('%s', (_what, key, expected) => {
    for (const request of [inHeader(key()), inQuery(key())]) {
      const answers = (['anonymous', 'function', 'admin', durable, blobs] as const).map((access) =>
        keys.permits(request, access),
      );
      expect(answers).toEqual(expected);
    }
  });

  it('looks at the query only without a header', () => {
    expect(keys.permits(inHeader('wrong', `/?code=${keys.masterKey}`), 'function')).toBe(false);
  });
});

it('keys are made once, are all different, and are readable by the user only', async () => {
  const stored = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
  expect(Object.keys(stored)).toEqual(['_master', 'default', 'durabletask_extension', 'blobs_extension']);
  expect(new Set(Object.values(stored)).size).toBe(4);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const again = await openHostKeys(file);
  expect(again.masterKey).toBe(keys.masterKey);
  expect(again.rpcSegment).not.toBe(keys.rpcSegment);
});

it('isSameSecret compares texts of any length', () => {
  expect(isSameSecret('a', 'a')).toBe(true);
  expect(isSameSecret('a', 'ab')).toBe(false);
  expect(isSameSecret('', 'a')).toBe(false);
});
