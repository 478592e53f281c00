// After `azd down`: the custom role of recoveries is not in a resource group, so it would stay. Its assignments went with
// the recovery group. Found by its name: azd has forgotten the outputs of the deployment by now. May be run again.
import { az, azdValue, stop } from './az.mjs';

const name = `Lifeboat recovery (rg-${azdValue('AZURE_ENV_NAME')}-recovery)`;
const subscription = ['--subscription', azdValue('AZURE_SUBSCRIPTION_ID')];

const listed = az([
  ...['role', 'definition', 'list', '--custom-role-only', 'true', '--name', name],
  ...['--query', '[].name', '--output', 'tsv', ...subscription],
]);
if (!listed.ok)
  stop(`custom roles could not be listed; look for "${name}" yourself.\n${listed.stderr.trim()}`);
for (const role of listed.stdout.split(/\s+/).filter(Boolean)) {
  const deleted = az(['role', 'definition', 'delete', '--name', role, ...subscription]);
  if (!deleted.ok) stop(`the custom role "${name}" (${role}) is still there.\n${deleted.stderr.trim()}`);
}
console.log('No custom role is left.');
