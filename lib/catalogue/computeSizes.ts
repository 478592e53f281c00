// Sizes of virtual machines that a failover may choose: the general, memory and compute families that every large region has.
// Published limits of the sizes; a size that a region does not offer is refused by Azure when the machine is made.

export interface ComputeSize {
  name: string;
  cores: number;
  memoryGib: number;
  maxDataDisks: number;
  maxNics: number;
  /** Takes premium disks. */
  isPremium: boolean;
  generations: readonly ('V1' | 'V2')[];
}

type Row = readonly [suffix: string, cores: number, memoryGib: number, maxDataDisks: number, maxNics: number];

const both = ['V1', 'V2'] as const;

const family = (prefix: string, tail: string, isPremium: boolean, rows: readonly Row[]): ComputeSize[] =>
  rows.map(([suffix, cores, memoryGib, maxDataDisks, maxNics]) => ({
    name: `Standard_${prefix}${suffix}${tail}`,
    ...{ cores, memoryGib, maxDataDisks, maxNics, isPremium, generations: both },
  }));

/** Cores, data disks and adapters are the same in the D and E families; memory is 4 and 8 GiB a core. */
const scale = [
  ['2', 2, 4, 2],
  ['4', 4, 8, 2],
  ['8', 8, 16, 4],
  ['16', 16, 32, 8],
  ['32', 32, 32, 8],
  ['48', 48, 32, 8],
  ['64', 64, 32, 8],
] as const;

const rows = (gibPerCore: number): Row[] =>
  scale.map(([suffix, cores, disks, nics]) => [suffix, cores, cores * gibPerCore, disks, nics]);

export const computeSizes: readonly ComputeSize[] = [
  ...family('B', '', true, [
    ['1ms', 1, 2, 2, 2],
    ['2s', 2, 4, 4, 3],
    ['2ms', 2, 8, 4, 3],
    ['4ms', 4, 16, 8, 4],
    ['8ms', 8, 32, 16, 4],
  ]),
  ...family('D', 's_v3', true, rows(4)),
  ...family('D', 's_v5', true, rows(4)),
  ...family('D', '_v5', false, rows(4)),
  ...family('E', 's_v5', true, rows(8)),
  ...family('F', 's_v2', true, [
    ['2', 2, 4, 4, 2],
    ['4', 4, 8, 8, 2],
    ['8', 8, 16, 16, 4],
    ['16', 16, 32, 32, 4],
    ['32', 32, 64, 32, 8],
    ['48', 48, 96, 32, 8],
    ['64', 64, 128, 32, 8],
    ['72', 72, 144, 32, 8],
  ]),
];

export interface Demand {
  /** Besides the disk that it boots from. */
  dataDisks: number;
  nics: number;
  generation: '1' | '2';
}

/** Why the machine cannot have this size; empty when it can. */
export function sizeProblems(size: ComputeSize, { dataDisks, nics, generation }: Demand): string[] {
  const problems: string[] = [];
  if (dataDisks > size.maxDataDisks)
    problems.push(`It takes ${size.maxDataDisks} data disks; the machine has ${dataDisks}.`);
  if (nics > size.maxNics)
    problems.push(`It takes ${size.maxNics} network adapters; the machine has ${nics}.`);
  if (!size.generations.includes(`V${generation}`))
    problems.push(`It does not boot machines of generation ${generation}.`);
  return problems;
}
