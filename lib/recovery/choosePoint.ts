// Which recovery point a failover uses, and what it costs in data.
import { LifeboatError } from '../errors.ts';
import type { ItemRecord, RecoveryPointRecord } from '../protection/item.ts';
import { listRecoveryPoints } from '../protection/itemStore.ts';
import type { TablePort } from '../storage/ports.ts';

/**
 * `latest`: what has arrived is merged first (lowest RPO); `latestProcessed`: the newest recorded point (lowest RTO);
 * `latestApplicationConsistent`; a point by id; the point of a cycle;
 * or the point of a moment of the consistency group.
 */
export type PointSelector =
  | { kind: 'latest' | 'latestProcessed' | 'latestApplicationConsistent' }
  | { kind: 'point'; id: string }
  | { kind: 'cycle'; cycle: number }
  | { kind: 'moment'; moment: string };

/** The point fits; of several that do, the newest is meant. */
function fits(selector: PointSelector, point: RecoveryPointRecord): boolean {
  switch (selector.kind) {
    case 'latest':
    case 'latestProcessed':
      return true;
    case 'latestApplicationConsistent':
      return point.consistency === 'application';
    case 'point':
      return point.id === selector.id;
    case 'cycle':
      return point.cycle === selector.cycle;
    case 'moment':
      return point.moment === selector.moment;
  }
}

/** What there is not, as a message has it. */
function describe(selector: PointSelector): string {
  switch (selector.kind) {
    case 'latest':
    case 'latestProcessed':
      return 'recovery point';
    case 'latestApplicationConsistent':
      return 'application-consistent recovery point';
    case 'point':
      return `recovery point ${selector.id}`;
    case 'cycle':
      return `recovery point of cycle ${selector.cycle}`;
    case 'moment':
      return `recovery point of the moment ${selector.moment}`;
  }
}

/** Throws `RecoveryPointMissing`, saying what there is instead. */
export async function choosePoint(
  items: TablePort,
  { item, name }: Pick<ItemRecord, 'item' | 'name'>,
  selector: PointSelector,
): Promise<RecoveryPointRecord> {
  let [newest, chosen]: (RecoveryPointRecord | undefined)[] = [];
  for await (const point of listRecoveryPoints(items, item)) {
    newest = point;
    if (fits(selector, point)) chosen = point;
  }
  if (chosen) return chosen;
  const there = newest ? ` The newest is ${newest.id} of ${newest.takenAt}.` : '';
  const message = `Protected item "${name}" has no ${describe(selector)}.${there}`;
  throw new LifeboatError('RecoveryPointMissing', message, { target: item });
}

/** How much of the source's time is missing in a point, as far as is known at `now`. */
export function dataLossSeconds(point: Pick<RecoveryPointRecord, 'takenAt'>, now: Date): number {
  return Math.max(0, Math.round((now.getTime() - Date.parse(point.takenAt)) / 1000));
}
