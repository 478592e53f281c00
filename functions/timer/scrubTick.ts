// Compares recovery points with their sources where the policy wants it every so many days.
import { lookAtScrub } from '../../lib/protection/scrub.ts';
import { registerDueTick } from './dueTick.ts';

registerDueTick('scrubTick', '%LIFEBOAT_TICK_SCHEDULE%', 'scrub', ({ context, orchestrations }, record) =>
  lookAtScrub(context, orchestrations, record),
);
