// The activities. They may run more than once; each run leaves a row.
import * as df from 'durable-functions';
import { countOf, record } from './effects.mjs';

const activity = (name, handler) => df.app.activity(name, { handler });

activity('record', async ({ effects, key }) => {
  await record(effects, key);
  return key;
});
activity('echo', (input) => input);
activity('describe', (input) => ({ type: typeof input, value: input ?? null }));
activity('nothing', () => undefined);
activity('blank', ({ length }) => 'x'.repeat(length));
activity('fail', ({ why }) => {
  throw new Error(`no ${why}`);
});
/** Fails as long as it has run `times` times or less. */
activity('failTimes', async ({ effects, key, times }) => {
  await record(effects, key);
  const runs = await countOf(effects, key);
  if (runs <= times) throw new Error(`run ${runs} of ${key}`);
  return runs > times;
});
