// Blob names of the public contract: replicas/<item>/<disk>.vhd and deltas/<item>/<cycle>/<disk>.hrl.
import { LifeboatError } from '../errors.ts';

const identifier = /^[a-z0-9-]{1,64}$/;
const deltaName = /^([a-z0-9-]{1,64})\/(\d{12})\/([a-z0-9-]{1,64})\.hrl$/;

export interface DeltaName {
  item: string;
  /** From 1. */
  cycle: number;
  disk: string;
}

/** Returns the value if it can be an item or disk id (`[a-z0-9-]{1,64}`); throws `InvalidName` naming `what` otherwise. */
export function requireIdentifier(value: string, what: string): string {
  if (!identifier.test(value)) {
    throw new LifeboatError(
      'InvalidName',
      `${what} "${value.slice(0, 80)}" must match ${identifier.source}.`,
      { target: what },
    );
  }
  return value;
}

export function formatCycle(cycle: number): string {
  return String(cycle).padStart(12, '0');
}

export function replicaName(item: string, disk: string): string {
  return `${item}/${disk}.vhd`;
}

export function formatDeltaName({ item, cycle, disk }: DeltaName): string {
  return `${item}/${formatCycle(cycle)}/${disk}.hrl`;
}

/** The parts of a log's blob name, or undefined when it is none (wrong pattern, or cycle 0). */
export function parseDeltaName(name: string): DeltaName | undefined {
  const match = deltaName.exec(name);
  if (!match) return undefined;
  const [, item = '', digits = '', disk = ''] = match;
  const cycle = Number(digits);
  return cycle === 0 ? undefined : { item, cycle, disk };
}

/** The item that a blob under `deltas` belongs to by its first folder, however wrong the rest of its name is. */
export function itemOfDelta(name: string): string | undefined {
  const item = name.split('/', 1)[0] ?? '';
  return name.includes('/') && identifier.test(item) ? item : undefined;
}
