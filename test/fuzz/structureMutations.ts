// Lies in the terms of the format: fields with values that a hostile or broken writer would give. With the checksums
// made right afterwards (reseal.ts) they reach the checks behind the checksums.
import type { Mutation } from './byteMutations.ts';
import type { PlainLog } from './plainReader.ts';
import type { SeededRandom } from './random.ts';

/** Fields of the header: offset and size in bytes. */
const headerFields = [
  ...[8, 12, 20, 56, 92, 104].map((at) => ({ at, size: 4 })),
  ...[24, 32, 44, 52, 96].map((at) => ({ at, size: 8 })),
  { at: 108, size: 2 },
];
const blockFields = [
  { at: 0, size: 8 },
  { at: 8, size: 4 },
];
const entryFields = [
  { at: 0, size: 8 },
  { at: 12, size: 4 },
  { at: 16, size: 4 },
  { at: 20, size: 1 },
  { at: 21, size: 4 },
];

function readField(log: Buffer, at: number, size: number): bigint {
  return size === 8 ? log.readBigUInt64LE(at) : BigInt(log.readUIntLE(at, size));
}

/** Writes as many low bits as the field has. Nothing happens where the field is not whole in the file. */
function writeField(log: Buffer, at: number, size: number, value: bigint): void {
  if (at < 0 || at + size > log.length) return;
  const bits = BigInt.asUintN(8 * size, value);
  if (size === 8) log.writeBigUInt64LE(bits, at);
  else log.writeUIntLE(Number(bits), at, size);
}

/** The value changed a little, or one at which readers go wrong, or a place in this log. */
function suspiciousValue(value: bigint, layout: PlainLog, random: SeededRandom): bigint {
  const block = BigInt(random.pick(layout.blocks).offset);
  const step = random.pick([1n, -1n, 32n, -32n, 512n, -512n, BigInt(layout.metadataSize)]);
  const end = BigInt(layout.endOfLog);
  const extremes = [
    0n,
    1n,
    511n,
    0xffff_ffffn,
    0xffff_fe00n,
    2n ** 31n,
    2n ** 40n,
    2n ** 63n,
    2n ** 64n - 512n,
  ];
  const edges = [2n ** 53n - 1n, 2n ** 53n, 2n ** 53n - 512n, 2n ** 53n + 512n];
  const places = [block, end - block, end, 4096n, BigInt(layout.metadataSize)];
  return random.pick([
    value + step,
    value + step,
    random.pick(extremes),
    random.pick(edges),
    random.pick(places),
  ]);
}

const lyingHeader: Mutation = (log, layout, random) => {
  const { at, size } = random.pick(headerFields);
  writeField(log, at, size, suspiciousValue(readField(log, at, size), layout, random));
  return log;
};

const lyingBlock: Mutation = (log, layout, random) => {
  const { offset } = random.pick(layout.blocks);
  const { at, size } = random.pick(blockFields);
  writeField(log, offset + at, size, suspiciousValue(readField(log, offset + at, size), layout, random));
  return log;
};

const lyingEntry: Mutation = (log, layout, random) => {
  if (layout.entries.length === 0) return lyingBlock(log, layout, random);
  const entry = random.pick(layout.entries);
  const { at, size } = random.pick(entryFields);
  writeField(log, entry.at + at, size, suspiciousValue(readField(log, entry.at + at, size), layout, random));
  return log;
};

/** The chain of blocks points at itself, forwards, past the header, or at another block. */
const bentChain: Mutation = (log, { blocks, metadataSize }, random) => {
  const from = random.pick(blocks).offset;
  const to = random.pick(blocks).offset;
  const distances = [
    0,
    from - to,
    to - from,
    from,
    from - 4096,
    from - 4095,
    metadataSize - 1,
    metadataSize,
    1,
  ];
  writeField(log, from, 8, BigInt(random.pick(distances)));
  return log;
};

/** Two entries change places with all that belongs to them but their data. */
const swappedEntries: Mutation = (log, { entries }, random) => {
  if (entries.length === 0) return log;
  const first = random.pick(entries).at;
  const second = random.pick(entries).at;
  const kept = Buffer.from(log.subarray(first, first + 32));
  log.copy(log, first, second, second + 32);
  kept.copy(log, second);
  return log;
};

/** Two blocks change places, or one takes the place of another. */
const swappedBlocks: Mutation = (log, { blocks, metadataSize }, random) => {
  const first = random.pick(blocks).offset;
  const second = random.pick(blocks).offset;
  const kept = Buffer.from(log.subarray(first, first + metadataSize));
  log.copy(log, first, second, second + metadataSize);
  if (random.once(2)) kept.copy(log, second);
  return log;
};

/** One entry of a block grows by what its neighbour loses: the sum of the block stays right. */
const shiftedBorder: Mutation = (log, { blocks }, random) => {
  const { entries } = random.pick(blocks);
  const index = random.below(Math.max(1, entries.length - 1));
  const [first, second] = [entries[index], entries[index + 1]];
  if (first === undefined || second === undefined) return log;
  const change = random.pick([512, -512, second.length, -first.length, 1]);
  writeField(log, first.at + 12, 4, BigInt(first.length + change));
  writeField(log, second.at + 12, 4, BigInt(second.length - change));
  return log;
};

/** The log ends with an earlier block; whether the total follows is left to chance. */
const earlierEnd: Mutation = (log, { blocks, metadataSize }, random) => {
  const kept = blocks.slice(0, 1 + random.below(blocks.length));
  writeField(log, 44, 8, BigInt(kept.at(-1)!.offset + metadataSize));
  if (!random.once(4)) {
    const total = kept.reduce((sum, { entries }) => sum + entries.length, 0);
    writeField(log, 96, 8, BigInt(total));
  }
  return log;
};

/** Fewer or more entries are said to be valid; whether the total follows is left to chance. */
const lyingCount: Mutation = (log, { blocks, entries }, random) => {
  const block = random.pick(blocks);
  const change = random.pick([-1, 1, 1000, -block.entries.length, 2 ** 24]);
  writeField(log, block.offset + 8, 4, BigInt(block.entries.length + change));
  if (!random.once(3)) writeField(log, 96, 8, BigInt(entries.length + change));
  return log;
};

export const structureMutations: Readonly<Record<string, Mutation>> = {
  'lying header': lyingHeader,
  'lying block': lyingBlock,
  'lying entry': lyingEntry,
  'bent chain': bentChain,
  'swapped entries': swappedEntries,
  'swapped blocks': swappedBlocks,
  'shifted border': shiftedBorder,
  'earlier end': earlierEnd,
  'lying count': lyingCount,
};
