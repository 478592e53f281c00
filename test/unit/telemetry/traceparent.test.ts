import { describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import {
  formatTraceparent,
  parseTraceparent,
  traceIdOf,
  validTraceparents,
} from '../../../lib/telemetry/traceparent.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';

describe('parseTraceparent', () => {
  it('reads the example of the specification', () => {
    expect(parseTraceparent(`00-${traceId}-${spanId}-01`)).toEqual({ traceId, spanId, isSampled: true });
    expect(parseTraceparent(`00-${traceId}-${spanId}-00`)?.isSampled).toBe(false);
  });

  it('takes what a later version appends', () => {
    expect(parseTraceparent(`cc-${traceId}-${spanId}-01-what-the-future-brings`)?.traceId).toBe(traceId);
  });

  it.each([
    undefined,
    '',
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId.slice(1)}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-${'x'.repeat(600)}`,
  ])('ignores %s', (text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });

  it('never throws, and reads back what was written', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseTraceparent(text)));
    const hex = (digits: number) =>
      fc
        .array(fc.constantFrom(...Array.from('0123456789abcdef')), { minLength: digits, maxLength: digits })
        .map((all) => all.join(''))
        .filter((text) => /[^0]/.test(text));
    fc.assert(
      fc.property(fc.record({ traceId: hex(32), spanId: hex(16), isSampled: fc.boolean() }), (context) => {
        expect(parseTraceparent(formatTraceparent(context))).toEqual(context);
      }),
    );
  });
});

it('of foreign values only valid ones are left, in their normal form and each once', () => {
  const valid = `00-${traceId}-${spanId}-01`;
  const later = `cc-${traceId}-${spanId}-03-and-more`;
  expect(validTraceparents([undefined, 'x', valid, later, valid])).toEqual([valid]);
  expect(traceIdOf(valid)).toBe(traceId);
  expect(traceIdOf(`${valid} `)).toBeUndefined();
});
