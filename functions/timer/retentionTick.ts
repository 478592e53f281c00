// Prunes recovery points that no tier of the policy wants any more, and what pruning that was cut left behind.
import { lookAtRetention } from '../../lib/protection/retention.ts';
import { registerDueTick } from './dueTick.ts';

registerDueTick('retentionTick', '0 * * * * *', 'retention', ({ context }, record) =>
  lookAtRetention(context, record),
);
