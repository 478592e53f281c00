// Timer functions: one that fires often, and one that fires only on request (or on the first of January).
import { app } from '@azure/functions';
import { record, replace } from './effects.mjs';

const timerEffects = 'ConformanceTimers';
const remembered = 5;
const runs = [];

app.timer('often', {
  schedule: '*/2 * * * * *',
  handler: async (timer) => {
    runs.push({ timer });
    runs.splice(0, runs.length - remembered);
    await replace(timerEffects, 'often', runs);
  },
});

app.timer('yearly', {
  schedule: '0 0 3 1 1 *',
  handler: async (timer) => record(timerEffects, 'yearly', timer),
});

app.timer('stubborn', {
  schedule: '0 0 4 1 1 *',
  retry: { strategy: 'fixedDelay', maxRetryCount: 2, delayInterval: { milliseconds: 0 } },
  handler: async (_timer, context) => {
    await record(timerEffects, 'stubborn', { retryCount: context.retryContext?.retryCount ?? null });
    throw new Error('the retried timer fails');
  },
});
