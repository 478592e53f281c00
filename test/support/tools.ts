// Programs of other people that some tests compare with.
import { spawnSync } from 'node:child_process';

/** Why a test that needs these programs cannot run here; undefined when it can. Names the Debian packages. */
export function findMissingTools(packages: Readonly<Record<string, string>>): string | undefined {
  const missing = Object.entries(packages)
    .filter(([program]) => spawnSync('sh', ['-c', 'command -v "$0"', program]).status !== 0)
    .map(([, name]) => name);
  return missing.length === 0 ? undefined : `needs ${[...new Set(missing)].join(', ')}`;
}

/** The title of a group of tests, with the reason when it is skipped. */
export const titleOf = (title: string, missing: string | undefined): string =>
  missing === undefined ? title : `${title} (skipped: ${missing})`;
