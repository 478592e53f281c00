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
