// Which recovery point a failover uses, and what it costs in data.
import { LifeboatError } from '../errors.ts';
import type { ItemRecord, RecoveryPointRecord } from '../protection/item.ts';
import { listRecoveryPoints } from '../protection/itemStore.ts';
import type { TablePort } from '../storage/ports.ts';

/**
 * `latest`: what has arrived is merged first (lowest RPO); `latestProcessed`: the newest recorded point (lowest RTO);
 * `latestApplicationConsistent`; a point by id; or the point of a cycle.
 */
export type PointSelector =
  | { kind: 'latest' | 'latestProcessed' | 'latestApplicationConsistent' }
  | { kind: 'point'; id: string }
  | { kind: 'cycle'; cycle: number };

/** Throws `RecoveryPointMissing`, saying what there is instead. */
export async function choosePoint(
  items: TablePort,
  { item, name }: Pick<ItemRecord, 'item' | 'name'>,
  selector: PointSelector,
): Promise<RecoveryPointRecord> {
  let [newest, newestConsistent]: (RecoveryPointRecord | undefined)[] = [];
  let found: RecoveryPointRecord | undefined;
  for await (const point of listRecoveryPoints(items, item)) {
    newest = point;
    if (point.consistency === 'application') newestConsistent = point;
    if (selector.kind === 'point' && point.id === selector.id) found = point;
    if (selector.kind === 'cycle' && point.cycle === selector.cycle) found = point;
  }
  const chosen =
    selector.kind === 'point' || selector.kind === 'cycle'
      ? found
      : selector.kind === 'latestApplicationConsistent'
        ? newestConsistent
        : newest;
  if (chosen) return chosen;
  const wanted = {
    latest: 'a recovery point',
    latestProcessed: 'a recovery point',
    latestApplicationConsistent: 'an application-consistent recovery point',
    point: selector.kind === 'point' ? `the recovery point ${selector.id}` : '',
    cycle: selector.kind === 'cycle' ? `a recovery point of cycle ${selector.cycle}` : '',
  }[selector.kind];
  const there = newest ? ` The newest is ${newest.id} of ${newest.takenAt}.` : '';
  throw new LifeboatError(
    'RecoveryPointMissing',
    `Protected item "${name}" has no ${wanted.replace(/^(an?|the) /, '')}.${there}`,
    {
      target: item,
    },
  );
}

/** How much of the source's time is missing in a point, as far as is known at `now`. */
export function dataLossSeconds(point: Pick<RecoveryPointRecord, 'takenAt'>, now: Date): number {
  return Math.max(0, Math.round((now.getTime() - Date.parse(point.takenAt)) / 1000));
}
