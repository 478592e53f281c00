// Begins drills that are due, and cleans up test failovers whose time is over.
import { lookAtDrill } from '../../lib/recovery/testFailover.ts';
import { registerDueTick } from './dueTick.ts';

registerDueTick('drillTick', '%LIFEBOAT_TICK_SCHEDULE%', 'drill', ({ context, orchestrations }, record) =>
  lookAtDrill(context, orchestrations, record),
);
