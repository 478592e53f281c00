// The changed extents that programs print, in the formats that are about: nbdinfo, RBD, VMware, Hyper-V RCT, and an envelope of
// our own. What they have in common is the trap that an answer may describe a part of the disk only; so every answer must say
// what it covers, and one that does not cover the whole disk is refused.
import * as z from 'zod';
import { LifeboatError } from '../../../lib/errors.ts';
import type { ByteRange } from '../../../lib/storage/ports.ts';
import { joinExtents } from '../../extents.ts';

/** What the answer must be of. */
export interface ChangesSubject {
  disk: string;
  diskSizeBytes: number;
  /** The reference that changes were asked since. */
  since: string;
  /** The reference of the frozen state. */
  to: string;
}

/** Large numbers may come as text. */
const size = z.union([
  z.number().int().min(0),
  z
    .string()
    .regex(/^\d{1,16}$/)
    .transform(Number),
]);
const truth = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);

const extent = z.looseObject({
  offset: size.optional(),
  start: size.optional(),
  ByteOffset: size.optional(),
  length: size.optional(),
  ByteLength: size.optional(),
  /** nbdinfo of a dirty bitmap: 0 = clean. */
  type: z.number().int().optional(),
  dirty: truth.optional(),
  /** RBD: false = discarded, which reads as zeros. */
  exists: truth.optional(),
});
type Extent = z.infer<typeof extent>;

const envelope = z.looseObject({
  version: z.literal(1),
  diskSize: size.optional(),
  from: z.string().nullish(),
  to: z.string().nullish(),
  complete: z.boolean().optional(),
  coverage: z.array(extent).optional(),
  extents: z.array(extent),
});
/** Msvm_ImageManagementService.GetVirtualDiskChanges. */
const rctPage = z.looseObject({
  ByteOffset: size.optional(),
  ProcessedByteLength: size,
  ChangedByteOffsets: z.array(size),
  ChangedByteLengths: z.array(size),
});
/** QueryChangedDiskAreas. */
const vmwarePage = z.looseObject({ startOffset: size, length: size, changedArea: z.array(extent).nullish() });

interface Described {
  covered: ByteRange[];
  changed: ByteRange[];
}

const refused = ({ disk }: ChangesSubject, why: string): LifeboatError =>
  new LifeboatError('SourceAnswerInvalid', `The changes of disk ${disk} are refused: ${why}.`, {
    target: disk,
  });

function rangeOf(
  subject: ChangesSubject,
  { offset, start, ByteOffset, length, ByteLength }: Extent,
): ByteRange {
  const offsetBytes = offset ?? start ?? ByteOffset;
  const lengthBytes = length ?? ByteLength;
  if (offsetBytes === undefined || lengthBytes === undefined)
    throw refused(subject, 'an extent has no offset or no length');
  return { offsetBytes, lengthBytes };
}

/** An array that says of each part whether it changed. Parts of which it is not said are taken as changed. */
function ofMap(subject: ChangesSubject, entries: readonly Extent[]): Described {
  const described: Described = { covered: [], changed: [] };
  for (const entry of entries) {
    // qemu-img shows a dirty bitmap inverted, in a field that otherwise means something else: too easy to get wrong.
    if ('data' in entry && entry.dirty === undefined && entry.type === undefined)
      throw refused(subject, 'the field "data" does not say whether a part changed; print "dirty"');
    const range = rangeOf(subject, entry);
    described.covered.push(range);
    const isClean = entry.dirty === false || entry.type === 0;
    if (!isClean) described.changed.push(range);
  }
  return described;
}

function ofEnvelope(subject: ChangesSubject, found: z.infer<typeof envelope>): Described {
  const { diskSizeBytes, since, to } = subject;
  if (found.diskSize !== undefined && found.diskSize !== diskSizeBytes)
    throw refused(subject, `they are of a disk of ${found.diskSize} bytes, and it has ${diskSizeBytes}`);
  if (typeof found.from === 'string' && found.from !== since)
    throw refused(subject, `they are since "${found.from}", and were asked since "${since}"`);
  if (typeof found.to === 'string' && found.to !== to)
    throw refused(subject, `they are until "${found.to}", and the frozen state is "${to}"`);
  const whole = { offsetBytes: 0, lengthBytes: diskSizeBytes };
  const covered =
    found.complete === true ? [whole] : (found.coverage ?? []).map((each) => rangeOf(subject, each));
  const changed = found.extents.filter(({ dirty, type }) => dirty !== false && type !== 0);
  return { covered, changed: changed.map((each) => rangeOf(subject, each)) };
}

function ofRct(subject: ChangesSubject, page: z.infer<typeof rctPage>): Described {
  const { ChangedByteOffsets: offsets, ChangedByteLengths: lengths } = page;
  if (offsets.length !== lengths.length)
    throw refused(subject, 'ChangedByteOffsets and ChangedByteLengths have different lengths');
  const covered = [{ offsetBytes: page.ByteOffset ?? 0, lengthBytes: page.ProcessedByteLength }];
  const changed = offsets.map((offsetBytes, index) => ({ offsetBytes, lengthBytes: lengths[index] ?? 0 }));
  return { covered, changed };
}

function ofVmware(subject: ChangesSubject, page: z.infer<typeof vmwarePage>): Described {
  const covered = [{ offsetBytes: page.startOffset, lengthBytes: page.length }];
  return { covered, changed: (page.changedArea ?? []).map((each) => rangeOf(subject, each)) };
}

function describe(subject: ChangesSubject, value: unknown): Described {
  const found = envelope.safeParse(value);
  if (found.success) return ofEnvelope(subject, found.data);
  const rct = rctPage.safeParse(value);
  if (rct.success) return ofRct(subject, rct.data);
  const vmware = vmwarePage.safeParse(value);
  if (vmware.success) return ofVmware(subject, vmware.data);
  if (!Array.isArray(value)) throw refused(subject, 'they have no format that is known here');
  const pages = value.map((each: unknown) =>
    rctPage.safeParse(each).success || vmwarePage.safeParse(each).success
      ? describe(subject, each)
      : undefined,
  );
  const known = pages.filter((page) => page !== undefined);
  if (known.length > 0 && known.length === pages.length)
    return { covered: known.flatMap((page) => page.covered), changed: known.flatMap((page) => page.changed) };
  const map = z.array(extent).safeParse(value);
  if (!map.success) throw refused(subject, 'they have no format that is known here');
  return ofMap(subject, map.data);
}

const sectorBytes = 512;

/** Whole sectors around the ranges, inside the disk. */
function rounded(subject: ChangesSubject, ranges: readonly ByteRange[]): ByteRange[] {
  const { diskSizeBytes } = subject;
  const widened: ByteRange[] = [];
  for (const { offsetBytes, lengthBytes } of ranges) {
    const end = offsetBytes + lengthBytes;
    // A part that begins behind the end is of another disk; one that reaches over it is a rounded length.
    if (offsetBytes > diskSizeBytes || !Number.isSafeInteger(end))
      throw refused(subject, `an extent begins at ${offsetBytes}, and the disk has ${diskSizeBytes} bytes`);
    const start = Math.floor(offsetBytes / sectorBytes) * sectorBytes;
    const length = Math.min(Math.ceil(end / sectorBytes) * sectorBytes, diskSizeBytes) - start;
    if (lengthBytes > 0 && length > 0) widened.push({ offsetBytes: start, lengthBytes: length });
  }
  return joinExtents(widened);
}

/**
 * Reads what a program said of one disk: whole sectors, ascending, disjoint, not adjacent. Throws `SourceAnswerInvalid` for
 * what is of no known format, of another disk or reference, or does not cover the whole disk.
 */
export function parseChanges(value: unknown, subject: ChangesSubject): ByteRange[] {
  const { covered, changed } = describe(subject, value);
  const { diskSizeBytes } = subject;
  let coveredTo = 0;
  for (const { offsetBytes, lengthBytes } of joinExtents(covered)) {
    if (offsetBytes > coveredTo) break;
    coveredTo = Math.max(coveredTo, offsetBytes + lengthBytes);
  }
  if (coveredTo < diskSizeBytes) {
    const why = `they cover the disk up to ${coveredTo} of ${diskSizeBytes} bytes; what changed behind is not known. Ask the source for the rest, or say "complete": true where the answer is of the whole disk`;
    throw refused(subject, why);
  }
  return rounded(subject, changed);
}
