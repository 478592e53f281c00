// What a package must be before it is deployed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Files below the folder, as paths with /, in order. */
export function filesOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
}

/** One digest of names and bytes: two builds of the same source must have the same. */
export function digestOf(folder) {
  const hash = createHash('sha256');
  for (const file of filesOf(folder)) {
    const bytes = readFileSync(join(folder, file));
    hash.update(`${file}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex');
}

const allowed =
  /^(app\/[\w-]+\.mjs|host\.json|package\.json|sbom\.cdx\.json|THIRD-PARTY-LICENSES\.txt|LICENSE)$/;
const secrets = [
  // All but the one of the emulator, which is printed in every manual and is part of the storage SDK.
  /AccountKey=(?!Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq)[A-Za-z0-9+/=]{20,}/,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  /[?&]sig=[A-Za-z0-9%]{40,}/,
];

/** Everything that is wrong with what lies in the folder; empty when all is well. */
export function problemsOf(folder) {
  return filesOf(folder).flatMap((file) => {
    if (!allowed.test(file)) return [`${file} does not belong into the package`];
    const text = readFileSync(join(folder, file), 'utf8');
    return [
      ...secrets.filter((secret) => secret.test(text)).map((secret) => `${file} holds a secret (${secret})`),
      ...(/sourceMappingURL=/.test(text) ? [`${file} names a source map, and there is none`] : []),
      ...(/\/(?:home|root|Users|work)\/[\w.-]+\//.test(text)
        ? [`${file} names a folder of the build machine`]
        : []),
    ];
  });
}

/** Milliseconds that a fresh process needs to load the entry: the median of several, each without a warm cache of code. */
export function loadMs(entry, runs = 7) {
  const program = `const start = performance.now(); await import(${JSON.stringify(pathToFileURL(entry).href)}); console.log(performance.now() - start); process.exit(0);`;
  const times = Array.from({ length: runs }, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
    });
    const last = Number(stdout.trim().split('\n').at(-1));
    if (status !== 0 || Number.isNaN(last)) throw new Error(`The package cannot be loaded:\n${stderr}`);
    return last;
  });
  return times.sort((a, b) => a - b)[Math.floor(runs / 2)];
}
