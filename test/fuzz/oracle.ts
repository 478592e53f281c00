// What must be true of every mutant. A log is refused with a typed error exactly when a plain second reader refuses it,
// and otherwise its effect on the disk is what that reader's replay gives; damage that did not repair checksums changes
// the effect only where no checksum looks, and never behind the back of a digest; reads and arrays stay bounded.
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import { memorySource } from '../../lib/disk/source.ts';
import { HrlError } from '../../lib/hrl/errors.ts';
import { verifyHrl } from '../../lib/hrl/verify.ts';
import { applyMerge } from '../../lib/merge/apply.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { memoryTarget } from '../merge/memoryTarget.ts';
import type { AllocationWatch } from './allocations.ts';
import { freshDisk, fuzzDiskSizeBytes, type BaseLog } from './baseLogs.ts';
import type { Mutant } from './mutant.ts';
import { plainChecksum, readPlainly, replayPlainly } from './plainReader.ts';

/** Checks the whole log, then applies it to the disk in place; returns the digest of the file. */
export type Subject = (source: RandomAccessSource, disk: Uint8Array) => Promise<string>;

/** What the product does. */
export const lifeboat: Subject = async (source, disk) => {
  const { log, sha256 } = await verifyHrl(source, { diskSizeBytes: disk.length });
  await applyMerge({ source, segments: planMerge(log.entries), target: memoryTarget(disk) });
  return sha256;
};

/** An error code, or what became of the effect. */
export type Outcome = string;

/** A broken promise: the message says which. */
export class Finding extends Error {
  override readonly name = 'Finding';
  /** Number of the mutant in its campaign. */
  readonly index: number | undefined;

  constructor(message: string, options: ErrorOptions & { index?: number } = {}) {
    super(message, options);
    this.index = options.index;
  }
}

const untouchedDisk = freshDisk();

function promise(holds: boolean, what: () => string): asserts holds {
  if (!holds) throw new Finding(what());
}

/** Counts what is read. A log is read once for its structure, with one block of overlap a read, once for its digest and once to apply it. */
function countedSource(bytes: Buffer): { source: RandomAccessSource; check: () => void } {
  const inner = memorySource(bytes);
  let reads = 0;
  let readBytes = 0;
  return {
    source: {
      sizeBytes: bytes.length,
      read(offsetBytes, lengthBytes) {
        reads++;
        readBytes += lengthBytes;
        return inner.read(offsetBytes, lengthBytes);
      },
    },
    check() {
      const mostReads = 16 + bytes.length / 512;
      const mostBytes = 4 * bytes.length + 4096;
      promise(reads <= mostReads && readBytes <= mostBytes, () => {
        return `${reads} reads of ${readBytes} bytes for a file of ${bytes.length}`;
      });
    },
  };
}

/** No array is longer than the entries that the file can hold, but for those of fixed size that sorting takes. */
function checkAllocations(longest: number, fileBytes: number): void {
  const most = 4096 + 4 * Math.floor(fileBytes / (512 + 32));
  promise(longest <= most, () => `an array of ${longest} for a file of ${fileBytes} bytes`);
}

/**
 * Whether a structure of the base is another one in the mutant and still has a right checksum: bytes whose changes
 * cancel out, or a whole entry or block in the place of another. The byte sums of the format cannot see it.
 */
function foolsByteSums({ layout, bytes: before }: BaseLog, after: Buffer): boolean {
  const isOther = (from: number, length: number): boolean =>
    !before.subarray(from, from + length).equals(after.subarray(from, from + length));
  const isSealed = (from: number, length: number, field: number): boolean =>
    from + length <= after.length &&
    after.readUInt32LE(from + field) === plainChecksum(after, from, from + length, from + field);
  const fools = (from: number, length: number, field: number): boolean =>
    isOther(from, length) && isSealed(from, length, field);
  if (fools(0, 4096, 40)) return true;
  if (layout.blocks.some(({ offset }) => fools(offset, 32, 12))) return true;
  return layout.entries.some(
    ({ at, dataOffset, length, dataChecksum }) =>
      fools(at, 32, 8) || (dataChecksum !== 0 && isOther(dataOffset, length)),
  );
}

/** The structures that must not have changed if an unrepaired log was accepted without fooling a byte sum. */
function checkUnrepaired({ base, bytes, isOneByte }: Mutant): void {
  const isFooled = foolsByteSums(base, bytes);
  promise(!(isFooled && isOneByte), () => 'a byte sum did not see a single changed byte');
  if (isFooled) return;
  const { layout } = base;
  const structures = [[0, 4096], ...layout.blocks.map(({ offset }) => [offset, 32])];
  for (const [from = 0, length = 0] of [...structures, ...layout.entries.map(({ at }) => [at, 32])]) {
    const isSame = base.bytes.subarray(from, from + length).equals(bytes.subarray(from, from + length));
    promise(isSame, () => `accepted, although the structure at ${from} changed and its checksum is wrong`);
  }
}

/** Holds one mutant against all promises. Throws Finding. */
export async function judge(
  mutant: Mutant,
  watch: AllocationWatch,
  subject: Subject = lifeboat,
): Promise<Outcome> {
  const { base, bytes, isResealed } = mutant;
  const { source, check } = countedSource(bytes);
  const disk = freshDisk();
  watch.takeLongest();
  const [digest, refusal] = await subject(source, disk).then(
    (sha256): [string, undefined] => [sha256, undefined],
    (error: unknown): [undefined, unknown] => [undefined, error],
  );
  checkAllocations(watch.takeLongest(), bytes.length);
  check();
  const plain = readPlainly(bytes, fuzzDiskSizeBytes);
  if (digest === undefined) {
    promise(refusal instanceof HrlError, () => `not refused by name: ${String(refusal)}`);
    promise(typeof plain === 'string', () => `refused a log that is right: ${refusal.message}`);
    promise(Buffer.compare(disk, untouchedDisk) === 0, () => 'refused, but the disk changed');
    return refusal.code;
  }
  promise(typeof plain !== 'string', () => `accepted a log that is wrong: ${JSON.stringify(plain)}`);
  const expected = freshDisk();
  replayPlainly(bytes, plain, expected);
  promise(Buffer.compare(disk, expected) === 0, () => 'the effect is not that of a plain replay');
  promise(bytes.equals(base.bytes) || digest !== base.digest, () => 'the digest of the file did not change');
  if (!isResealed) checkUnrepaired(mutant);
  return Buffer.compare(disk, base.effect) === 0 ? 'same effect' : 'other effect';
}
