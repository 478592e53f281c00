// The common form of manifests and answers: a header that says what the digests are of, one bit for each block that is all
// zeros, and the digests of the others. A list has exactly one form, so that writing it twice gives the same bytes, and it
// carries a digest of itself, so that a damaged one is refused and never compared. docs/resync.md has the layout.
import { createHash } from 'node:crypto';
import { LifeboatError } from '../errors.ts';
import { digestBytes, sha256Of, zeroDigest } from './blockDigests.ts';
import type { DigestScope } from './names.ts';

export const listKinds = { coarse: 1, fine: 2 } as const;
export type ListKind = keyof typeof listKinds;

/** What the header says besides sizes. */
export interface ListSubject {
  kind: ListKind;
  scope: DigestScope;
  blockBytes: number;
  diskSizeBytes: number;
  firstBlock: number;
}

const magic = 'lbdigest';
const version = 1;
const headerBytes = 128;
const field = {
  version: 8,
  kind: 10,
  blockBytes: 12,
  diskSizeBytes: 16,
  firstBlock: 24,
  count: 32,
  storedCount: 36,
  prefixBytes: 40,
  scope: 48,
  sha256: 96,
} as const;

function scopeDigest({ item, disk, generation }: DigestScope): Uint8Array {
  return sha256Of(Buffer.from(`${item}/${disk}/${generation}`));
}

/** Of the header before its place, and of everything after the header. */
function listDigest(list: Uint8Array): Uint8Array {
  const hash = createHash('sha256').update(list.subarray(0, field.sha256));
  return hash.update(list.subarray(headerBytes)).digest();
}

/** Digests in order, and what they are of. `lengthOf` gives the real length of a block: it decides its zero digest. */
export interface ListContent {
  subject: ListSubject;
  /** Bytes of its own that a kind puts before the digests. */
  prefix: Uint8Array;
  digests: Uint8Array;
  lengthOf: (index: number) => number;
}

export function encodeList({ subject, prefix, digests, lengthOf }: ListContent): Uint8Array {
  const count = digests.length / digestBytes;
  const bitmap = new Uint8Array(Math.ceil(count / 8));
  const stored: Uint8Array[] = [];
  for (let index = 0; index < count; index++) {
    const digest = digests.subarray(index * digestBytes, (index + 1) * digestBytes);
    if (Buffer.compare(digest, zeroDigest(lengthOf(index))) !== 0) stored.push(digest);
    else bitmap[index >> 3] = (bitmap[index >> 3] ?? 0) | (1 << (index & 7));
  }
  const list = Buffer.concat([new Uint8Array(headerBytes), prefix, bitmap, ...stored]);
  list.write(magic, 'latin1');
  list.writeUInt16LE(version, field.version);
  list.writeUInt16LE(listKinds[subject.kind], field.kind);
  list.writeUInt32LE(subject.blockBytes, field.blockBytes);
  list.writeBigUInt64LE(BigInt(subject.diskSizeBytes), field.diskSizeBytes);
  list.writeBigUInt64LE(BigInt(subject.firstBlock), field.firstBlock);
  list.writeUInt32LE(count, field.count);
  list.writeUInt32LE(stored.length, field.storedCount);
  list.writeUInt32LE(prefix.length, field.prefixBytes);
  list.set(scopeDigest(subject.scope), field.scope);
  list.set(listDigest(list), field.sha256);
  return new Uint8Array(list.buffer, list.byteOffset, list.length);
}

function invalidDigests(what: string): LifeboatError {
  return new LifeboatError('DigestsInvalid', `The digest list ${what}.`, { target: 'digests' });
}

function foreignDigests(what: string): LifeboatError {
  return new LifeboatError('DigestsForeign', `The digest list ${what}.`, { target: 'digests' });
}

function checkHeader(list: Buffer): void {
  if (list.length < headerBytes) throw invalidDigests(`has only ${list.length} bytes`);
  if (list.toString('latin1', 0, magic.length) !== magic) throw invalidDigests('does not begin as one');
  const found = list.readUInt16LE(field.version);
  if (found !== version) throw invalidDigests(`has version ${found}; this program knows ${version}`);
  if (Buffer.compare(listDigest(list), list.subarray(field.sha256, headerBytes)) !== 0)
    throw invalidDigests('does not have the SHA-256 that it names: it was damaged or cut');
}

function checkSubject(list: Buffer, { scope, ...expected }: ListSubject): void {
  const found = {
    kind: list.readUInt16LE(field.kind),
    blockBytes: list.readUInt32LE(field.blockBytes),
    diskSizeBytes: Number(list.readBigUInt64LE(field.diskSizeBytes)),
    firstBlock: Number(list.readBigUInt64LE(field.firstBlock)),
  };
  const wanted = { ...expected, kind: listKinds[expected.kind] };
  for (const name of ['kind', 'blockBytes', 'diskSizeBytes', 'firstBlock'] as const) {
    if (found[name] !== wanted[name])
      throw foreignDigests(`has ${name} ${found[name]}; ${wanted[name]} was expected`);
  }
  const found32 = list.subarray(field.scope, field.scope + digestBytes);
  if (Buffer.compare(found32, scopeDigest(scope)) !== 0)
    throw foreignDigests(`is not of ${scope.item}/${scope.disk}/${scope.generation}`);
}

/** What must be in a list: the subject, and how many digests with which prefix. */
export interface ListExpectation {
  subject: ListSubject;
  prefix: Uint8Array;
  count: number;
  lengthOf: (index: number) => number;
}

/**
 * The digests of a list, one for every block. Throws `DigestsInvalid` for bytes that `encodeList` never writes, and
 * `DigestsForeign` for a list of something else than expected.
 */
export function parseList(bytes: Uint8Array, expected: ListExpectation): Uint8Array {
  const list = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  checkHeader(list);
  checkSubject(list, expected.subject);
  const { prefix, count, lengthOf } = expected;
  const prefixEnd = headerBytes + list.readUInt32LE(field.prefixBytes);
  if (Buffer.compare(list.subarray(headerBytes, prefixEnd), prefix) !== 0)
    throw foreignDigests('is of other blocks than were asked for');
  const found = list.readUInt32LE(field.count);
  if (found !== count) throw foreignDigests(`has ${found} digests; ${count} were expected`);
  const bitmapEnd = prefixEnd + Math.ceil(count / 8);
  const storedCount = list.readUInt32LE(field.storedCount);
  if (list.length !== bitmapEnd + storedCount * digestBytes)
    throw invalidDigests(`has ${list.length} bytes, which is not what its header says`);
  const bitmap = list.subarray(prefixEnd, bitmapEnd);
  const digests = expand(bitmap, list.subarray(bitmapEnd), count, lengthOf);
  const again = encodeList({ subject: expected.subject, prefix, digests, lengthOf });
  if (Buffer.compare(again, list) !== 0) throw invalidDigests('is not in its one correct form');
  return digests;
}

function expand(
  bitmap: Uint8Array,
  stored: Uint8Array,
  count: number,
  lengthOf: (index: number) => number,
): Uint8Array {
  const digests = new Uint8Array(count * digestBytes);
  let taken = 0;
  for (let index = 0; index < count; index++) {
    const isZeros = ((bitmap[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
    const from = taken * digestBytes;
    const digest = isZeros ? zeroDigest(lengthOf(index)) : stored.subarray(from, from + digestBytes);
    if (!isZeros) taken++;
    digests.set(digest, index * digestBytes);
  }
  return digests;
}
