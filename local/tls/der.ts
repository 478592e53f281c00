// The part of DER (ITU-T X.690) that a certificate needs. Every function returns one complete element, tag and length
// included, so that elements nest by being passed on.

const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

const contextSpecific = 0x80;
const constructed = 0x20;
/** From this year on a certificate's times have four digits of year (RFC 5280, 4.1.2.5). */
const generalizedFromYear = 2050;

export const derSequence = (...elements: Uint8Array[]): Buffer => element(tags.sequence, ...elements);

export const derSet = (...elements: Uint8Array[]): Buffer => element(tags.set, ...elements);

export const derTrue = (): Buffer => element(tags.boolean, Uint8Array.of(0xff));

export const derOctetString = (bytes: Uint8Array): Buffer => element(tags.octetString, bytes);

export const derUtf8String = (text: string): Buffer => element(tags.utf8String, Buffer.from(text, 'utf8'));

/** `[number]` around whole elements. */
export const derExplicit = (number: number, ...elements: Uint8Array[]): Buffer =>
  element(contextSpecific | constructed | number, ...elements);

/** `[number]` in place of the tag of a primitive element with this content. */
export const derImplicit = (number: number, content: Uint8Array): Buffer =>
  element(contextSpecific | number, content);

/** `magnitude` is an unsigned big-endian number of at least one byte. */
export function derInteger(magnitude: Uint8Array): Buffer {
  const firstSignificant = magnitude.findIndex((byte) => byte !== 0);
  const digits = firstSignificant === -1 ? Uint8Array.of(0) : magnitude.subarray(firstSignificant);
  const isNegativeWithout = (digits[0] ?? 0) >= 0x80;
  return element(tags.integer, ...(isNegativeWithout ? [Uint8Array.of(0)] : []), digits);
}

/** Bits from the most significant of the first byte on; the last `unusedBits` do not count. */
export function derBitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return element(tags.bitString, Uint8Array.of(unusedBits), bytes);
}

/** `dotted` like `1.2.840.10045.4.3.2`. */
export function derOid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return element(tags.oid, Buffer.from([40 * first + second, ...rest].flatMap(toBase128)));
}

/** To the second, in the form that RFC 5280 asks for at that date. */
export function derTime(time: Date): Buffer {
  const digits = time.toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return time.getUTCFullYear() < generalizedFromYear
    ? element(tags.utcTime, Buffer.from(digits.slice(2)))
    : element(tags.generalizedTime, Buffer.from(digits));
}

function element(tag: number, ...contents: Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Uint8Array.of(tag, ...toLength(content.length)), content]);
}

function toLength(length: number): number[] {
  if (length < 0x80) return [length];
  const digits: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return [0x80 | digits.length, ...digits];
}

function toBase128(number: number): number[] {
  const digits = [number % 128];
  for (let rest = Math.floor(number / 128); rest > 0; rest = Math.floor(rest / 128))
    digits.unshift(0x80 | (rest % 128));
  return digits;
}
