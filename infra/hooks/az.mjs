// What the hooks share: the values that azd hands over, and the Azure CLI.
import { spawnSync } from 'node:child_process';

/** A value that the deployment put into the azd environment. Ends the hook when it is missing. */
export function azdValue(name) {
  const value = process.env[name];
  if (value) return value;
  return stop(
    `${name} is not set. Hooks run by azd have it after "azd provision"; run "azd provision" first.`,
  );
}

/** Ends the hook with a message. */
export function stop(message) {
  console.error(`lifeboat: ${message}`);
  return process.exit(1);
}

/** Runs the Azure CLI; resolves to what it said. Ends the hook when there is no Azure CLI. */
export function az(args) {
  const isWindows = process.platform === 'win32';
  const { status, stdout, stderr, error } = isWindows
    ? // az is a batch file there; azd's values are names and ids, never text of a stranger.
      spawnSync('az', args, { encoding: 'utf8', shell: true })
    : spawnSync('az', args, { encoding: 'utf8' });
  if (error?.code === 'ENOENT')
    stop('the Azure CLI (az) is not installed. Install it, run "az login", then "azd hooks run postdeploy".');
  return { ok: status === 0, stdout: stdout ?? '', stderr: stderr ?? '' };
}
