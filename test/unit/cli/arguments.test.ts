import { describe, expect, it } from 'vitest';
import {
  parseCycle,
  parseDiskSizeBytes,
  parseGuidArgument,
  parseIdentifier,
  parseSha256,
  parseSizeBytes,
  parseTime,
} from '../../../cli/arguments.ts';
import { formatBytes } from '../../../cli/humanText.ts';

describe('values of options', () => {
  it.each([
    ['0', 0],
    ['4096', 4096],
    ['4K', 4096],
    ['4KiB', 4096],
    ['3MB', 3 * 1024 ** 2],
    ['2gib', 2 * 1024 ** 3],
    ['8TiB', 8 * 1024 ** 4],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseSizeBytes(text)).toBe(bytes);
  });

  it.each(['', '-1', '1.5M', '1e3', '12X', '0x10', '99999999999999999', ' 1'])('"%s" is no size', (text) => {
    expect(() => parseSizeBytes(text)).toThrow('Give bytes');
  });

  it.each(['0', '511', '1000'])('%s is no size of a disk', (text) => {
    expect(() => parseDiskSizeBytes(text)).toThrow('multiple of 512');
  });

  it('takes GUIDs in any case, with or without braces', () => {
    const guid = '00112233-4455-6677-8899-aabbccddeeff';
    expect(parseGuidArgument(`{${guid.toUpperCase()}}`)).toBe(guid);
    for (const wrong of ['', guid.slice(1), `{${guid}`, guid.replace('a', 'g')])
      expect(() => parseGuidArgument(wrong)).toThrow('GUID');
  });

  it('takes times only with their zone', () => {
    expect(parseTime('2026-01-31T12:00:00+02:00').toISOString()).toBe('2026-01-31T10:00:00.000Z');
    for (const wrong of ['2026-01-31', '2026-01-31T12:00:00', 'now', '2026-13-01T00:00:00Z'])
      expect(() => parseTime(wrong)).toThrow('ISO 8601');
  });

  it('bounds cycles, ids and digests', () => {
    expect(parseCycle('999999999999')).toBe(999_999_999_999);
    for (const wrong of ['0', '-1', '1.0', '1000000000000']) expect(() => parseCycle(wrong)).toThrow('cycle');
    expect(parseIdentifier('VM-1')).toBe('vm-1');
    for (const wrong of ['', 'a_b', 'x'.repeat(65), '../x'])
      expect(() => parseIdentifier(wrong)).toThrow('a-z');
    expect(parseSha256('AB'.repeat(32))).toBe('ab'.repeat(32));
    expect(() => parseSha256('ab')).toThrow('64 hex digits');
  });
});

it.each([
  [0, '0 bytes'],
  [1023, '1023 bytes'],
  [1024, '1.0 KiB'],
  [1536 * 1024, '1.5 MiB'],
])('%d prints as %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
