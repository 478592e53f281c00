// How the command `lifeboat` is bundled: one file that runs wherever Node does, with nothing beside it. The same source makes
// the same bytes. Worker threads are started from text inside it (agent/track/scan/hashPool.ts).
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { at, common } from './appBundle.mjs';
import { bundledPackages } from './package/contents.mjs';
import { licenceList } from './package/documents.mjs';

/** Limit of the one file. */
export const commandLimitBytes = 1_500_000;
/** Limit of `lifeboat --version`, from the start of the process to its end. */
export const versionLimitMs = 150;
export const commandFile = at('dist', 'cli', 'lifeboat.mjs');

/**
 * A module of Node is loaded when the code that uses it runs: as static imports of one file all of them would be loaded before
 * `--version` is printed, http, tls and worker threads included.
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

/** Writes lifeboat.mjs and the licences of what is inside into the folder. */
export async function buildCommand(folder) {
  const { metafile } = await build({
    ...common,
    entryPoints: { lifeboat: at('cli', 'main.ts') },
    outdir: folder,
    sourcemap: false,
    minify: true,
    legalComments: 'none',
    metafile: true,
    external: ['supports-color'],
    plugins: [lazyBuiltins, smallUndici],
  });
  writeFileSync(join(folder, 'THIRD-PARTY-LICENSES.txt'), licenceList(bundledPackages(metafile)));
}

/**
 * Milliseconds of `lifeboat --version`: the best of several runs, because what else the machine does only adds to it. Ends early
 * with the first that is within the limit.
 */
export function versionMs(runs = 20) {
  let best = Infinity;
  for (let count = 0; count < runs && best > versionLimitMs; count++) {
    const start = performance.now();
    const { status, stderr } = spawnSync(process.execPath, [commandFile, '--version'], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${commandFile} --version failed:\n${stderr}`);
    best = Math.min(best, performance.now() - start);
  }
  return best;
}
