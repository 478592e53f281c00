// The source's part of a scrub: digests of the frozen view that a cycle was cut from, for the service to compare with the
// recovery point of that cycle.
import { scrubScopes } from '../../lib/resync/names.ts';
import { publishDigests } from '../resync/publishDigests.ts';
import type { Assignment } from '../serviceClient.ts';
import { copiedDisks, frozenDiskOf, sourceViewOf, type ItemContext } from './itemContext.ts';

/** Publishes if a scrub waits and the view of the pending cycle is open here; otherwise the next cycle will do. */
export async function publishScrub(context: ItemContext, assignment: Assignment): Promise<void> {
  const { item, client, signal, state } = context;
  const { scrub } = assignment;
  const { pending } = state.current;
  const cycle = context.open?.cycle;
  if (!scrub || scrub.cycle !== null || !pending || cycle?.reference !== pending.reference) return;
  const { scrubId } = scrub;
  for (const assigned of copiedDisks(assignment)) {
    const { disk } = assigned;
    const { reader } = frozenDiskOf(cycle, assigned);
    context.report({ doing: `digesting ${disk}` });
    await publishDigests(sourceViewOf(reader), {
      scope: scrubScopes(item, disk, scrubId).source,
      put: (segment, manifest) => client.putScrubDigests({ item, disk, scrubId, segment }, manifest),
      signal,
    });
  }
  await cycle.check?.();
  await client.completeScrub(item, scrubId, pending.cycle);
  context.log(`${item}: digests of cycle ${pending.cycle} are published`);
}
