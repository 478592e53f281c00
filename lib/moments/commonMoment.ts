// The newest moment that several machines all have a recovery point of.
import { listRecoveryPoints } from '../protection/itemStore.ts';
import type { RecoveryPointRecord } from '../protection/item.ts';
import type { TablePort } from '../storage/ports.ts';

type PointOfMoment = Pick<RecoveryPointRecord, 'moment' | 'takenAt'>;

/** Undefined when there is none, and for no machines. Pure. */
export function newestCommonMoment(points: readonly (readonly PointOfMoment[])[]): string | undefined {
  const [first = [], ...others] = points;
  const common = first.filter(
    ({ moment }) => moment !== null && others.every((each) => each.some((point) => point.moment === moment)),
  );
  const newest = common.toSorted((one, other) => (one.takenAt < other.takenAt ? 1 : -1))[0];
  return newest?.moment ?? undefined;
}

/** The same, of stored items. */
export async function findCommonMoment(
  table: TablePort,
  items: readonly string[],
): Promise<string | undefined> {
  const all: RecoveryPointRecord[][] = [];
  for (const item of items) {
    const points: RecoveryPointRecord[] = [];
    for await (const point of listRecoveryPoints(table, item)) points.push(point);
    all.push(points);
  }
  return newestCommonMoment(all);
}
