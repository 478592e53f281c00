// Before any test: the programs in dist/, which tests start as processes, are made of the sources as they are.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

export function setup(): void {
  const program = join(import.meta.dirname, '..', '..', 'scripts', 'setup.mjs');
  execFileSync(process.execPath, [program], { stdio: 'inherit' });
}
