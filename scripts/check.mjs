// Everything but the tests that must hold before a change lands: types, lint, format, unused code, sizes, and how fast the command starts.
import { execFile } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { bundleLimitBytes } from './appBundle.mjs';
import { flagsOf } from './arguments.mjs';
import { commandFile, commandLimitBytes, versionLimitMs, versionMs } from './commandBundle.mjs';

flagsOf();

/** What may run at once: lint takes as long as the others together. */
const lanes = [
  [['lint', ['node_modules/eslint/bin/eslint.js', '.', '--max-warnings=0']]],
  [
    ['types', ['node_modules/typescript/bin/tsc', '--noEmit']],
    ['format', ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.']],
    ['unused code', ['node_modules/knip/bin/knip.js']],
  ],
];

function appBundleBytes() {
  const folder = join('dist', 'app');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.mjs'))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

let failed = 0;
function report(isGood, text) {
  console.log(`${isGood ? 'ok  ' : 'FAIL'} ${text}`);
  if (!isGood) failed++;
}

/** What it printed comes before its result, undisturbed by what runs beside it. */
const run = ([name, args]) =>
  new Promise((resolve) => {
    execFile(process.execPath, args, { maxBuffer: Infinity }, (error, stdout, stderr) => {
      process.stdout.write(stdout);
      process.stderr.write(stderr);
      report(error === null, name);
      resolve();
    });
  });

await Promise.all(
  lanes.map(async (steps) => {
    for (const step of steps) await run(step);
  }),
);
const bytes = appBundleBytes();
report(
  bytes <= bundleLimitBytes,
  `size: the app bundle has ${bytes} bytes, the limit is ${bundleLimitBytes}`,
);
const commandBytes = statSync(commandFile).size;
report(
  commandBytes <= commandLimitBytes,
  `size: the command has ${commandBytes} bytes, the limit is ${commandLimitBytes}`,
);
const startMs = versionMs();
report(
  startMs <= versionLimitMs,
  `start: lifeboat --version took ${startMs.toFixed(0)} ms, the limit is ${versionLimitMs}`,
);
process.exit(failed > 0 ? 1 : 0);
