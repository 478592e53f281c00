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

const median = (values) => values.sort((one, other) => one - other)[Math.floor(values.length / 2)];

/** Loads the module in a fresh process; milliseconds by the clock, and of processor time, which others on the machine change less. */
function loadOnce(specifier) {
  const program = `const start = performance.now(), cpu = process.cpuUsage();
    await import(${JSON.stringify(specifier)});
    const { user, system } = process.cpuUsage(cpu);
    console.log(performance.now() - start, (user + system) / 1000); process.exit(0);`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  const [wallMs, cpuMs] = (stdout.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  if (status !== 0 || !Number.isFinite(cpuMs)) throw new Error(`The package cannot be loaded:\n${stderr}`);
  return { wallMs, cpuMs };
}

/** What loading the entry takes beyond loading a module of Node itself: medians of runs that alternate. */
export function loadTimes(entry, runs = 9) {
  const [ours, none] = [[], []];
  for (let run = 0; run < runs; run++) {
    none.push(loadOnce('node:fs'));
    ours.push(loadOnce(pathToFileURL(entry).href));
  }
  const of = (times, key) => median(times.map((each) => each[key]));
  const beyond = (key) => of(ours, key) - of(none, key);
  return { wallMs: beyond('wallMs'), cpuMs: beyond('cpuMs') };
}
