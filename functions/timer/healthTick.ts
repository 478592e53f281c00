// RPO, statistics, copy progress and health of the items whose health can have changed by the passing of time.
import { lookAtHealth } from '../../lib/protection/looks.ts';
import { registerDueTick } from './dueTick.ts';

registerDueTick('healthTick', '%LIFEBOAT_TICK_SCHEDULE%', 'health', ({ context, orchestrations }, record) =>
  lookAtHealth(context, orchestrations, record),
);
