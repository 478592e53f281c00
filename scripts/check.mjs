// Everything but the tests that must hold before a change lands: types, lint, format, unused code, size.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { bundleLimitBytes } from './appBundle.mjs';

const steps = [
  ['types', ['node_modules/typescript/bin/tsc', '--noEmit']],
  ['lint', ['node_modules/eslint/bin/eslint.js', '.', '--max-warnings=0']],
  ['format', ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.']],
  ['unused code', ['node_modules/knip/bin/knip.js']],
];

function appBundleBytes() {
  const folder = join('dist', 'app');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.mjs'))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

let failed = 0;
for (const [name, args] of steps) {
  const ok = spawnSync(process.execPath, args, { stdio: 'inherit' }).status === 0;
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name}`);
  if (!ok) failed++;
}
const bytes = appBundleBytes();
const fits = bytes <= bundleLimitBytes;
console.log(
  `${fits ? 'ok  ' : 'FAIL'} size: the app bundle has ${bytes} bytes, the limit is ${bundleLimitBytes}`,
);
process.exit(failed + (fits ? 0 : 1) > 0 ? 1 : 0);
