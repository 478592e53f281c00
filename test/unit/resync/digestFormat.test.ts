// The format of manifests and answers: read here once more, from the layout in docs/resync.md, by other code; and refused
// whenever a byte is not what a writer writes, or the list is of something else.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { codeOfThrown } from '../../resync/thrown.ts';
import {
  checkFineBlocks,
  encodeCoarse,
  encodeFine,
  maxFineBlocks,
  parseCoarse,
  parseFine,
  type CoarseSubject,
} from '../../../lib/resync/digestFormat.ts';

const kib = 1024;
const scope = { item: 'vm-1', disk: 'os', generation: 'g-1' };
const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const zeros = (lengthBytes: number): Buffer => sha256(Buffer.alloc(lengthBytes));

/** Three coarse blocks, the last of 512 bytes; zeros, data, zeros. */
const subject: CoarseSubject = { scope, diskSizeBytes: 512 * kib + 512, segment: 0 };
const digests = Buffer.concat([zeros(256 * kib), sha256(Buffer.from('data')), zeros(512)]);
const manifest = encodeCoarse(subject, digests);

/** Puts the right SHA-256 into a changed list. */
function sealed(list: Uint8Array): Uint8Array {
  const copy = Buffer.from(list);
  copy.set(sha256(Buffer.concat([copy.subarray(0, 96), copy.subarray(128)])), 96);
  return copy;
}

describe('a coarse manifest', () => {
  it('has the documented layout, in which a block of zeros is one bit', () => {
    const bytes = Buffer.from(manifest);
    expect(bytes.length).toBe(128 + 1 + 32);
    expect(bytes.toString('latin1', 0, 8)).toBe('lbdigest');
    expect([bytes.readUInt16LE(8), bytes.readUInt16LE(10), bytes.readUInt32LE(12)]).toEqual([
      1,
      1,
      256 * kib,
    ]);
    expect([bytes.readBigUInt64LE(16), bytes.readBigUInt64LE(24)]).toEqual([524_800n, 0n]);
    expect([bytes.readUInt32LE(32), bytes.readUInt32LE(36), bytes.readUInt32LE(40)]).toEqual([3, 1, 0]);
    expect(bytes.subarray(48, 80)).toEqual(sha256(Buffer.from('vm-1/os/g-1')));
    expect(bytes.subarray(80, 96)).toEqual(Buffer.alloc(16));
    expect(bytes.subarray(96, 128)).toEqual(
      sha256(Buffer.concat([bytes.subarray(0, 96), bytes.subarray(128)])),
    );
    expect(bytes[128]).toBe(0b101);
    expect(bytes.subarray(129)).toEqual(sha256(Buffer.from('data')));
  });

  it('comes back as it was written', () => {
    expect(Buffer.from(parseCoarse(manifest, subject))).toEqual(digests);
  });

  it('of the second segment begins with block 4096', () => {
    const second = { scope, diskSizeBytes: 1024 ** 3 + 512, segment: 1 };
    const list = encodeCoarse(second, zeros(512));
    expect(Buffer.from(list).readBigUInt64LE(24)).toBe(4096n);
    expect(list.length).toBe(129);
    expect(Buffer.from(parseCoarse(list, second))).toEqual(zeros(512));
  });

  it('is refused when any byte is another one', () => {
    for (let at = 0; at < manifest.length; at++) {
      for (const flip of [0x01, 0x80]) {
        const damaged = manifest.slice();
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        expect([at, codeOfThrown(() => parseCoarse(damaged, subject))]).toEqual([at, 'DigestsInvalid']);
      }
    }
  });

  it('is refused when it is cut or longer', () => {
    for (let length = 0; length < manifest.length; length++)
      expect(codeOfThrown(() => parseCoarse(manifest.subarray(0, length), subject))).toBe('DigestsInvalid');
    const longer = Buffer.concat([manifest, Buffer.alloc(32)]);
    expect(codeOfThrown(() => parseCoarse(longer, subject))).toBe('DigestsInvalid');
    expect(codeOfThrown(() => parseCoarse(sealed(longer), subject))).toBe('DigestsInvalid');
  });

  it.each([
    ['item', { ...subject, scope: { ...scope, item: 'vm-2' } }],
    ['disk', { ...subject, scope: { ...scope, disk: 'data' } }],
    ['generation', { ...subject, scope: { ...scope, generation: 'g-2' } }],
    ['size with as many blocks', { ...subject, diskSizeBytes: subject.diskSizeBytes + 512 }],
    ['size', { ...subject, diskSizeBytes: 2 * 1024 ** 3 }],
    ['segment', { scope, diskSizeBytes: 2 * 1024 ** 3, segment: 1 }],
  ])('of another %s is foreign', (_, expected) => {
    expect(codeOfThrown(() => parseCoarse(manifest, expected))).toBe('DigestsForeign');
  });

  it('is not a fine answer', () => {
    const coarseBlocks = [2];
    const answer = encodeFine({ scope, diskSizeBytes: subject.diskSizeBytes, coarseBlocks }, zeros(512));
    expect(codeOfThrown(() => parseCoarse(answer, subject))).toBe('DigestsForeign');
    const fine = { scope, diskSizeBytes: subject.diskSizeBytes, coarseBlocks };
    expect(codeOfThrown(() => parseFine(manifest, fine))).toBe('DigestsForeign');
  });

  it('has one form only: no stored digest of zeros, no spare bits', () => {
    const explicit = Buffer.from(manifest);
    explicit.set(zeros(256 * kib), 129);
    expect(codeOfThrown(() => parseCoarse(sealed(explicit), subject))).toBe('DigestsInvalid');
    const spare = Buffer.from(manifest);
    spare[128] = 0b1000_0101;
    expect(codeOfThrown(() => parseCoarse(sealed(spare), subject))).toBe('DigestsInvalid');
    const reserved = Buffer.from(manifest);
    reserved[90] = 1;
    expect(codeOfThrown(() => parseCoarse(sealed(reserved), subject))).toBe('DigestsInvalid');
  });

  it('needs a digest for every block', () => {
    expect(() => encodeCoarse(subject, digests.subarray(32))).toThrow(RangeError);
  });

  it('names a segment that the disk does not have', () => {
    expect(codeOfThrown(() => parseCoarse(manifest, { ...subject, segment: 1 }))).toBe('InvalidRequest');
    expect(codeOfThrown(() => encodeCoarse({ ...subject, segment: -1 }, digests))).toBe('InvalidRequest');
  });
});

describe('a fine answer', () => {
  const diskSizeBytes = 3 * 256 * kib + 4096 + 512;
  const subjectOf = (coarseBlocks: number[]) => ({ scope, diskSizeBytes, coarseBlocks });

  it('holds the digests of its blocks end to end, the last ones shorter', () => {
    const first = Buffer.concat(Array.from({ length: 64 }, (_, index) => sha256(Buffer.from([index]))));
    const all = Buffer.concat([first, sha256(Buffer.from('x')), zeros(512)]);
    const answer = encodeFine(subjectOf([1, 3]), all);
    expect(answer.length).toBe(128 + 8 + 9 + 65 * 32);
    expect([Buffer.from(answer).readUInt32LE(128), Buffer.from(answer).readUInt32LE(132)]).toEqual([1, 3]);
    expect(Buffer.from(parseFine(answer, subjectOf([1, 3])))).toEqual(all);
    expect(codeOfThrown(() => parseFine(answer, subjectOf([2, 3])))).toBe('DigestsForeign');
    expect(codeOfThrown(() => parseFine(answer, subjectOf([1])))).toBe('DigestsForeign');
  });

  it('holds at most 256 blocks, ascending, of the disk', () => {
    const many = Array.from({ length: maxFineBlocks + 1 }, (_, index) => index);
    const size = 300 * 256 * kib;
    expect(codeOfThrown(() => checkFineBlocks(size, many))).toBe('DigestRequestTooLarge');
    expect(codeOfThrown(() => checkFineBlocks(size, many.slice(1)))).toBe('ok');
    for (const wrong of [[1, 1], [2, 1], [-1], [0.5], [300], [NaN]])
      expect([wrong, codeOfThrown(() => checkFineBlocks(size, wrong))]).toEqual([wrong, 'InvalidRequest']);
  });
});
