// After the code is deployed: lets Event Grid announce uploaded logs to the app. The app makes the key of its address when it
// first runs the blob trigger, and answers Event Grid's handshake only then, so this tries for some minutes.
// May be run again at any time: azd hooks run postdeploy.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { az, azdValue, stop } from './az.mjs';

const tries = 20;
const waitMs = Number(process.env.LIFEBOAT_HOOK_WAIT_MS ?? 30_000);
const template = join(dirname(dirname(fileURLToPath(import.meta.url))), 'eventSubscription.bicep');
const args = [
  ...['deployment', 'group', 'create', '--name', 'lifeboat-uploads'],
  ...['--subscription', azdValue('AZURE_SUBSCRIPTION_ID')],
  ...['--resource-group', azdValue('AZURE_RESOURCE_GROUP')],
  ...['--template-file', template],
  ...['--parameters', `appName=${azdValue('AZURE_FUNCTION_APP_NAME')}`],
  ...['--parameters', `topicName=${azdValue('LIFEBOAT_EVENT_TOPIC_NAME')}`],
  ...['--output', 'none'],
];

for (let attempt = 1; ; attempt++) {
  const { ok, stderr } = az(args);
  if (ok) break;
  if (attempt === tries) {
    stop(
      `uploads are not announced to the app after ${tries} attempts; until they are, each is found by the timer within a minute.\n` +
        `Look whether ${process.env.LIFEBOAT_URL ?? 'the app'}/health answers, then run "azd hooks run postdeploy". The last error:\n${stderr.trim()}`,
    );
  }
  console.log(`The app is not ready for events yet (attempt ${attempt} of ${tries}).`);
  await new Promise((resolve) => setTimeout(resolve, waitMs));
}
console.log('Uploaded logs are announced to the app.');
