// Tries again what failed, at the times of the ladder.
import { lookAtRetry } from '../../lib/protection/failures.ts';
import { drainUntil } from '../limits.ts';
import { registerDueTick } from './dueTick.ts';

registerDueTick('retryTick', '%LIFEBOAT_TICK_SCHEDULE%', 'retry', ({ context }, record) =>
  lookAtRetry(context, record, { stopAt: drainUntil() }),
);
