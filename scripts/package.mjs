// `npm run package`: what is deployed, in dist/package (or the folder that is given): the bundle without source maps, host.json,
// a package.json without dependencies, the licences and the bill of materials. The same source makes the same bytes.
// Fails when it is too large, or holds what does not belong there.
import { build } from 'esbuild';
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { app, at, bundleLimitBytes, startLimitBytes } from './appBundle.mjs';
import { digestOf, filesOf, loadTimes, problemsOf } from './package/checks.mjs';
import { bundledPackages, startOf } from './package/contents.mjs';
import { billOfMaterials, licenceList } from './package/documents.mjs';

const loadLimitMs = 250;
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'skip-load': { type: 'boolean', default: false } },
});
const folder = resolve(positionals[0] ?? at('dist', 'package'));
const product = JSON.parse(readFileSync(at('package.json'), 'utf8'));
const write = (name, value) => writeFileSync(join(folder, name), value);
const toJson = (value) => `${JSON.stringify(value, null, 2)}\n`;

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const { metafile } = await build({ ...app, outdir: join(folder, 'app'), sourcemap: false, metafile: true });
const packages = bundledPackages(metafile);
copyFileSync(at('host.json'), join(folder, 'host.json'));
copyFileSync(at('LICENSE'), join(folder, 'LICENSE'));
const { name, version, description, license, engines, localHost } = product;
const manifest = {
  name,
  version,
  description,
  license,
  private: true,
  type: 'module',
  main: 'app/index.mjs',
};
write('package.json', toJson({ ...manifest, engines, localHost }));
write('THIRD-PARTY-LICENSES.txt', licenceList(packages));
write('sbom.cdx.json', toJson(billOfMaterials(product, packages)));

const code = filesOf(folder).filter((file) => file.startsWith('app/'));
const sizeBytes = code.reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
const start = startOf(metafile);
const problems = [...problemsOf(folder), ...start.problems];
if (sizeBytes > bundleLimitBytes)
  problems.push(`the code has ${sizeBytes} bytes, the limit is ${bundleLimitBytes}`);
if (start.sizeBytes > startLimitBytes)
  problems.push(`a start loads ${start.sizeBytes} bytes of code, the limit is ${startLimitBytes}`);

console.log(`${folder}: ${filesOf(folder).length} files, ${packages.length} packages inside`);
console.log(`sha256 of the package: ${digestOf(folder)}`);
console.log(`size: ${sizeBytes} bytes of code in ${code.length} files, the limit is ${bundleLimitBytes}`);
console.log(`start: ${start.sizeBytes} bytes of code are loaded, the limit is ${startLimitBytes}`);
if (!options['skip-load']) {
  // A time depends on the machine and what else it does: it is told, not judged. What a start loads is judged above.
  const { wallMs, cpuMs } = loadTimes(join(folder, 'app', 'index.mjs'));
  const verdict = wallMs <= loadLimitMs ? 'within' : 'OVER';
  const text = `${wallMs.toFixed(0)} ms at the median (${cpuMs.toFixed(0)} ms of the processor)`;
  console.log(`load: ${text}, ${verdict} the budget of ${loadLimitMs} ms`);
}
for (const problem of problems) console.error(`FAIL ${problem}`);
process.exit(problems.length > 0 ? 1 : 0);
