// What the suites share: outcomes as comparable values, names that are used once, and recognisable bytes.
import { expect } from 'vitest';
import { LifeboatError } from '../../lib/errors.ts';

/** 'ok', the code of a LifeboatError, or the name of any other error. */
export async function codeOf(outcome: Promise<unknown>): Promise<string> {
  try {
    await outcome;
    return 'ok';
  } catch (error) {
    if (error instanceof LifeboatError) return error.code;
    return error instanceof Error ? error.name : String(error);
  }
}

let names = 0;

/** A name that no other test of this process has. */
export function freshName(kind: string): string {
  return `item/${kind}-${++names}`;
}

/** Bytes without zeros that differ by seed and by position, so that a shift or a mix-up shows. */
export function patternBytes(lengthBytes: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(lengthBytes);
  for (let index = 0; index < lengthBytes; index++) {
    bytes[index] = 1 + ((index * 31 + (index >> 9) * 7 + seed * 101) % 255);
  }
  return bytes;
}

/** Reads an async iterable to its end. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

/** Fails at the first byte that differs. `toEqual` walks typed arrays so slowly that it would dominate the suites. */
export function expectBytes(actual: Uint8Array, expected: Uint8Array): void {
  expect(actual.length).toBe(expected.length);
  if (Buffer.compare(actual, expected) === 0) return;
  const at = actual.findIndex((byte, index) => byte !== expected[index]);
  expect({ at, byte: actual[at] }).toEqual({ at, byte: expected[at] });
}
