// When the app starts: its settings are checked before the first function is called. A wrong one stops the app here, with
// every problem in one message, instead of failing one function after the other.
import { app } from '@azure/functions';
import { readSettings, unknownSettings } from './settings.ts';

app.hook.appStart(() => {
  readSettings(process.env);
  for (const name of unknownSettings(process.env))
    console.warn(`The setting ${name} is unknown and has no effect. See docs/settings.md.`);
});
