// Finding work whose trigger was lost. Everything in `deltas` is work that is not done, so one listing finds it all.
import { toErrorRecord } from '../errors.ts';
import { drainOnLadder } from '../protection/failures.ts';
import type { ReplicationContext } from './context.ts';
import type { DrainOptions } from './drain.ts';
import { itemOfDelta } from './names.ts';

/** Drains every item that has something under `deltas`. One item's failure does not keep the others waiting. */
export async function reconcileDeltas(
  context: ReplicationContext,
  options: DrainOptions = {},
): Promise<string[]> {
  const items = new Set<string>();
  for await (const blob of context.storage.deltas.list('')) {
    const item = itemOfDelta(blob.name);
    if (item === undefined)
      context.log(`ignored ${blob.name} in deltas: names there are <item>/<cycle>/<disk>.hrl`);
    else items.add(item);
  }
  for (const item of items) {
    try {
      await drainOnLadder(context, item, options);
    } catch (error) {
      const { code, message } = toErrorRecord(error);
      context.log(`draining ${item} failed and will be tried again: ${code}: ${message}`);
    }
  }
  return [...items];
}
