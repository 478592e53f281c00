// Ids of protected items, as other resources carry them.
import type { ItemRecord } from '../protection/item.ts';
import { requireIdentifier } from '../replication/names.ts';
import { nameInId } from './arm.ts';
import { containerSegments } from './containers.ts';
import { LifeboatError, isLifeboatError } from '../errors.ts';

export const itemSegments = (record: Pick<ItemRecord, 'fabric' | 'container' | 'name'>): string[] => [
  ...containerSegments(record),
  ...['replicationProtectedItems', record.name],
];

/** The item's key that an id names. Throws `InvalidRequest` that names the field. */
export function parseItemId(id: string, target: string): string {
  try {
    return requireIdentifier(nameInId(id, 'replicationProtectedItems').toLowerCase(), 'Protected item');
  } catch (cause) {
    if (!isLifeboatError(cause)) throw cause;
    throw new LifeboatError('InvalidRequest', cause.message, { cause, target });
  }
}
