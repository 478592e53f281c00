// Which packages are inside a bundle, by the bundler's own account, with their versions, hashes and licences.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { at } from '../appBundle.mjs';

/** Permissive licences that the product may be shipped with. */
const permitted = new Set(['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT']);

/** `node_modules/a/node_modules/@s/b` of any path below it; undefined for our own files. */
function folderOf(input) {
  const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
  return match?.[1];
}

function licenceText(folder) {
  const name = readdirSync(at(folder)).find((file) => /^(licen[cs]e|copying)/i.test(file));
  return name === undefined ? undefined : readFileSync(join(at(folder), name), 'utf8').trim();
}

/**
 * The packages whose code is in the bundle, by name. Throws an Error that names a package which is not in the
 * lockfile, has another version there, or a licence that is not permitted.
 */
export function bundledPackages(metafile) {
  const lock = JSON.parse(readFileSync(at('package-lock.json'), 'utf8')).packages;
  const shipped = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs)
      .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
      .map(([input]) => input),
  );
  const folders = new Set(shipped.map(folderOf).filter((folder) => folder !== undefined));
  return [...folders]
    .map((folder) => {
      const manifest = JSON.parse(readFileSync(at(folder, 'package.json'), 'utf8'));
      const { name, version, license } = manifest;
      const locked = lock[folder];
      if (locked?.version !== version)
        throw new Error(`${folder} has version ${version}, the lockfile ${locked?.version}. Run npm ci.`);
      if (locked.dev) throw new Error(`${name} is a development dependency, but is in the app's bundle.`);
      if (!permitted.has(license)) throw new Error(`${name} ${version} has the licence ${license}.`);
      return { name, version, license, integrity: locked.integrity, text: licenceText(folder) };
    })
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version < b.version ? -1 : 1));
}

/** The files of the bundle that loading the entry loads, whatever is called later: its static imports. */
function loadedAtStart({ outputs }) {
  const isEntry = (path) => path.endsWith('/index.mjs');
  const waiting = Object.keys(outputs).filter(isEntry);
  const found = new Set(waiting);
  for (const path of waiting)
    for (const { path: next, kind, external } of outputs[path].imports)
      if (kind === 'import-statement' && !external && !found.has(next)) {
        found.add(next);
        waiting.push(next);
      }
  return [...found].map((path) => outputs[path]);
}

/** Packages that a start must do without: they are loaded where they are configured, when they are first needed. */
const neededLater = [
  '@azure/identity',
  '@azure/monitor-opentelemetry-exporter',
  '@opentelemetry/sdk-metrics',
];

/** How much a start loads, and what of it should not be there. */
export function startOf(metafile) {
  const files = loadedAtStart(metafile);
  const inputs = files.flatMap((file) => Object.keys(file.inputs));
  return {
    sizeBytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    problems: neededLater
      .filter((name) => inputs.some((input) => input.includes(`node_modules/${name}/`)))
      .map((name) => `a start loads ${name}, which only some deployments need: import it dynamically`),
  };
}
