// One mutated log of a campaign. It depends on the seed and its number alone, so that a finding is made again from the
// two numbers that its message names.
import { baseLogs, type BaseLog } from './baseLogs.ts';
import { byteMutations } from './byteMutations.ts';
import { SeededRandom } from './random.ts';
import { reseal } from './reseal.ts';
import { structureMutations } from './structureMutations.ts';

export interface Mutant {
  index: number;
  base: BaseLog;
  /** What was done to it, for people. */
  mutation: string;
  /** Whether checksums were made right after the mutation. */
  isResealed: boolean;
  /** Whether exactly one byte is another. */
  isOneByte: boolean;
  bytes: Buffer;
}

/** One mutant in so many changes the next single byte of the base logs, in turn, all bytes of the small ones first. */
const sweepEvery = 3;
const sweepLength = baseLogs.reduce((sum, { bytes }) => sum + bytes.length, 0);
const mutations = { ...byteMutations, ...structureMutations };
const bySize = baseLogs.toSorted((a, b) => a.bytes.length - b.bytes.length);

function sweepMutant(index: number, random: SeededRandom): Mutant {
  let at = (index / sweepEvery) % sweepLength;
  let number = 0;
  while (at >= bySize[number]!.bytes.length) at -= bySize[number++]!.bytes.length;
  const base = bySize[number]!;
  const bytes = Buffer.from(base.bytes);
  bytes[at]! ^= 1 + random.below(255);
  const mutation = `byte ${at} of "${base.name}" changed`;
  return { index, base, mutation, isResealed: false, isOneByte: true, bytes };
}

/** Mutant `index` of the campaign with this seed. */
export function mutantOf(seed: number, index: number): Mutant {
  const random = new SeededRandom(seed, index);
  if (index % sweepEvery === 0) return sweepMutant(index, random);
  const base = random.pick(baseLogs);
  let bytes: Buffer = Buffer.from(base.bytes);
  const names: string[] = [];
  // Mostly one, because two lies are found at the first; sometimes several, because two may hide each other.
  for (let left = random.once(4) ? 2 + random.below(3) : 1; left > 0 && bytes.length > 4096; left--) {
    const name = random.pick(Object.keys(mutations));
    names.push(name);
    bytes = mutations[name]!(bytes, fitting(base, bytes), random);
  }
  const isResealed = !random.once(3);
  if (isResealed) bytes = reseal(Buffer.from(bytes), base.layout);
  const mutation = `${names.join(', ')} in "${base.name}"${isResealed ? ', checksums made right' : ''}`;
  return { index, base, mutation, isResealed, isOneByte: false, bytes };
}

/** The structures that are still whole in a file that an earlier mutation cut. The first block may be gone in part. */
function fitting({ layout }: BaseLog, bytes: Buffer): BaseLog['layout'] {
  const isWhole = (offset: number): boolean => offset + layout.metadataSize <= bytes.length;
  const blocks = layout.blocks.filter(({ offset }) => isWhole(offset));
  if (blocks.length === layout.blocks.length) return layout;
  if (blocks.length === 0) blocks.push({ offset: bytes.length - 32, entries: [] });
  return { ...layout, blocks, entries: blocks.flatMap(({ entries }) => entries) };
}
