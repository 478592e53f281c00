// Damage that knows nothing of the format: what transfers, disks and careless programs do to a file.
import type { PlainLog } from './plainReader.ts';
import type { SeededRandom } from './random.ts';

/** Changes the copy in place, or returns another one. */
export type Mutation = (log: Buffer, layout: PlainLog, random: SeededRandom) => Buffer;

/** An offset in the log, more often in its metadata than its share of the bytes. */
function somewhere(log: Buffer, { blocks, metadataSize }: PlainLog, random: SeededRandom): number {
  const kind = random.below(4);
  if (kind === 0) return random.below(Math.min(128, log.length));
  if (kind > 1) return random.below(log.length);
  const { offset, entries } = random.pick(blocks);
  return Math.min(log.length - 1, offset + random.below(Math.min(metadataSize, 32 + 32 * entries.length)));
}

function manyBytes(log: Buffer, layout: PlainLog, random: SeededRandom): Buffer {
  for (let left = 2 + random.below(29); left > 0; left--)
    log[somewhere(log, layout, random)] = random.below(256);
  return log;
}

function oneBit(log: Buffer, layout: PlainLog, random: SeededRandom): Buffer {
  log[somewhere(log, layout, random)]! ^= 1 << random.below(8);
  return log;
}

/** Two bytes change places: no byte sum sees it. */
function swappedBytes(log: Buffer, layout: PlainLog, random: SeededRandom): Buffer {
  const first = somewhere(log, layout, random);
  const second = random.once(2)
    ? Math.min(log.length - 1, first + 1 + random.below(8))
    : random.below(log.length);
  [log[first], log[second]] = [log[second]!, log[first]!];
  return log;
}

function cutOff(log: Buffer, layout: PlainLog, random: SeededRandom): Buffer {
  const end = random.once(2) ? random.below(log.length) : random.pick(layout.blocks).offset;
  return log.subarray(0, end);
}

function extended(log: Buffer, _layout: PlainLog, random: SeededRandom): Buffer {
  const length = 1 + random.below(3000);
  const kinds = [() => Buffer.alloc(length), () => random.bytes(length), () => log.subarray(0, length)];
  return Buffer.concat([log, random.pick(kinds)()]);
}

/** A range of sectors is zero, as after a crash of the file system that had only the size written. */
function zeroedSectors(log: Buffer, _layout: PlainLog, random: SeededRandom): Buffer {
  const from = random.below(Math.ceil(log.length / 512)) * 512;
  return log.fill(0, from, Math.min(log.length, from + 512 * (1 + random.below(8))));
}

/** A range comes twice, is missing, or lies where another one belongs. */
function displacedRange(log: Buffer, _layout: PlainLog, random: SeededRandom): Buffer {
  const unit = random.pick([1, 32, 512, 4096]);
  const from = random.below(Math.ceil(log.length / unit)) * unit;
  const to = Math.min(log.length, from + unit * (1 + random.below(4)));
  const target = random.below(Math.ceil(log.length / unit)) * unit;
  const range = log.subarray(from, to);
  switch (random.below(3)) {
    case 0:
      return Buffer.concat([log.subarray(0, target), range, log.subarray(target)]);
    case 1:
      return Buffer.concat([log.subarray(0, from), log.subarray(to)]);
    default:
      Buffer.from(range).copy(log, target);
      return log;
  }
}

export const byteMutations: Readonly<Record<string, Mutation>> = {
  'many bytes': manyBytes,
  'one bit': oneBit,
  'swapped bytes': swappedBytes,
  'cut off': cutOff,
  extended,
  'zeroed sectors': zeroedSectors,
  'displaced range': displacedRange,
};
