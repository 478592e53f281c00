// Finds settings that would make a failover fail, while there is time to mend them.
import { lookAtReadiness } from '../../lib/recovery/readinessCheck.ts';
import { registerDueTick } from './dueTick.ts';

registerDueTick('readinessTick', '0 */5 * * * *', 'readiness', ({ context }, record) =>
  lookAtReadiness(context, record),
);
