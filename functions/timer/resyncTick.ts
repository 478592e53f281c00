// Begins, and wakes, resynchronizations inside their windows; so many at once as the setting says.
import { lookAtResync } from '../../lib/protection/resyncRequest.ts';
import { services } from '../services.ts';
import { registerDueTick } from './dueTick.ts';

registerDueTick(
  'resyncTick',
  '%LIFEBOAT_TICK_SCHEDULE%',
  'resync',
  async ({ context, orchestrations }, record) => {
    const { settings } = await services();
    return lookAtResync(context, orchestrations, record, settings.LIFEBOAT_RESYNCS_AT_ONCE);
  },
);
