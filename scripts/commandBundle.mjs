// How the command `lifeboat` is bundled: one file that runs wherever Node does, with nothing beside it. The same source makes
// the same bytes. Worker threads are started from text inside it (agent/track/scan/hashPool.ts).
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, sep } from 'node:path';
import { at, common } from './appBundle.mjs';
import { bundledPackages } from './package/contents.mjs';
import { licenceList } from './package/documents.mjs';

/** Limit of the one file. */
export const commandLimitBytes = 1_500_000;
/** Limit of `lifeboat --version`. */
export const versionLimitMs = 150;
export const commandFile = at('dist', 'cli', 'lifeboat.mjs');

const inMemory = {
  ...common,
  banner: {},
  sourcemap: false,
  legalComments: 'none',
  write: false,
};

/**
 * A module of Node is required when the code that uses it runs, also where the source imports it dynamically: the program, compiled
 * as a function by cli/start.ts, has no `import()`.
 */
const lazyBuiltins = {
  name: 'lazy-builtins',
  setup(build) {
    const namespace = 'lazy-builtin';
    build.onResolve({ filter: /.*/ }, ({ path, namespace: importer }) => {
      if (!isBuiltin(path)) return undefined;
      return importer === namespace ? { path, external: true } : { path, namespace };
    });
    build.onLoad({ filter: /.*/, namespace }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)});`,
      loader: 'js',
    }));
  },
};

/** Of undici only what a proxy needs, with one of its two builds of the HTTP parser: the one that runs on every processor. */
const smallUndici = {
  name: 'small-undici',
  setup(build) {
    const file = (path) => at('node_modules', 'undici', 'lib', path);
    build.onResolve({ filter: /^undici$/ }, () => ({ path: 'undici', namespace: 'small-undici' }));
    build.onLoad({ filter: /.*/, namespace: 'small-undici' }, () => ({
      contents: `exports.EnvHttpProxyAgent = require('./dispatcher/env-http-proxy-agent.js');
        require('./dispatcher/dispatcher.js').prototype.connect = require('./api/api-connect.js');
        exports.setGlobalDispatcher = require('./global.js').setGlobalDispatcher;`,
      resolveDir: file('.'),
    }));
    build.onResolve({ filter: /llhttp_simd-wasm\.js$/ }, () => ({ path: file('llhttp/llhttp-wasm.js') }));
  },
};

/**
 * The storage SDK can send CRC64 checksums, and brings 85 KB of WebAssembly along for it. Our requests ask for MD5; one that asked
 * for CRC64 would fail before it is sent.
 */
const noCrc64 = {
  name: 'no-crc64',
  setup(build) {
    build.onLoad({ filter: /storage-common[\\/]dist[\\/]esm[\\/]crc64\.js$/ }, () => ({
      contents: `export default () => Promise.reject(new Error('This program has no CRC64; its requests use MD5.'));`,
    }));
  },
};

/** Folders of packages that are there more than once in the same version, each with the one whose code is taken. */
function sameCopies() {
  const { packages } = JSON.parse(readFileSync(at('package-lock.json'), 'utf8'));
  const first = new Map();
  const copies = new Map();
  for (const [folder, { version, dev }] of Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const name = folder.split('node_modules/').at(-1);
    const key = `${name}@${version}`;
    if (!dev && first.has(key)) copies.set(at(folder), at(first.get(key)));
    else if (!dev) first.set(key, folder);
  }
  return copies;
}

/** npm nests a package once for each that needs it; one copy of its code will do. */
const oneCopy = {
  name: 'one-copy',
  setup(build) {
    const copies = sameCopies();
    build.onResolve({ filter: /^[^./]/ }, async ({ path, pluginData, ...args }) => {
      if (pluginData === copies || args.kind === 'entry-point') return undefined;
      const found = await build.resolve(path, { ...args, pluginData: copies });
      const copy = [...copies].find(([folder]) => found.path.startsWith(`${folder}${sep}`));
      return copy && { ...found, path: copy[1] + found.path.slice(copy[0].length) };
    });
  },
};

/** The program, one CommonJS text, and the bundler's account of it. */
async function bundleProgram() {
  const { outputFiles, metafile } = await build({
    ...inMemory,
    format: 'cjs',
    entryPoints: [at('cli', 'main.ts')],
    minify: true,
    metafile: true,
    external: ['supports-color'],
    // As ES modules, of which what is not used is left out.
    alias: { yaml: at('node_modules', 'yaml', 'browser', 'dist', 'index.js') },
    plugins: [lazyBuiltins, smallUndici, noCrc64, oneCopy],
  });
  return { program: outputFiles[0].text, metafile };
}

/** What runs first. It must not contain what the program's lines begin with: a comment, or a line break in a text. */
async function bundleStart() {
  const { outputFiles } = await build({
    ...inMemory,
    entryPoints: [at('cli', 'start.ts')],
    banner: { js: '#!/usr/bin/env node' },
    minifyWhitespace: true,
  });
  return outputFiles[0].text;
}

/** The one file: what runs first, then the program, its lines as comments (cli/start.ts reads them). */
function oneFile(start, program) {
  if (start.includes('\n//'))
    throw new Error('What cli/start.ts is bundled to contains a line that begins with //.');
  // Other ends of lines would end a comment, and cli/start.ts reads a byte as a character.
  if (program.includes('\r') || Buffer.byteLength(program) !== program.length)
    throw new Error('The program contains a carriage return, or a character that is not ASCII.');
  return `${start.trimEnd()}\n//${program.trimEnd().replaceAll('\n', '\n//')}\n`;
}

/** Writes lifeboat.mjs and the licences of what is inside into the folder. */
export async function buildCommand(folder) {
  const start = await bundleStart();
  const { program, metafile } = await bundleProgram();
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'lifeboat.mjs'), oneFile(start, program), { mode: 0o755 });
  writeFileSync(join(folder, 'THIRD-PARTY-LICENSES.txt'), licenceList(bundledPackages(metafile)));
}

/** Makes a process tell its processor time at its end, in microseconds. */
const tellProcessorTime = `data:text/javascript,process.on('exit',()=>{const{user,system}=process.cpuUsage();console.error(user+system)})`;

/**
 * Milliseconds that `lifeboat --version` keeps a processor busy, from the start of the process to its end: what it takes on a
 * machine that has nothing else to do. The best of several runs; ends early with the first that is within the limit.
 */
export function versionMs(runs = 30) {
  let best = Infinity;
  for (let count = 0; count < runs && best > versionLimitMs; count++) {
    const args = ['--import', tellProcessorTime, commandFile, '--version'];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${commandFile} --version failed:\n${stderr}`);
    best = Math.min(best, Number(stderr.trim()) / 1000);
  }
  return best;
}
