// How the local host and Azurite are bundled, packages included: both are started often, and most of a start was finding and reading
// a thousand files.
import { build } from 'esbuild';
import { at, common } from './appBundle.mjs';

/** Azurite loads the client of its telemetry, which patches every later `require`, and uses it only when telemetry is switched on. */
const noTelemetry = {
  name: 'no-telemetry',
  setup(build) {
    build.onResolve({ filter: /^applicationinsights$/ }, ({ path }) => ({ path, namespace: 'no-telemetry' }));
    build.onLoad({ filter: /.*/, namespace: 'no-telemetry' }, () => ({ contents: 'module.exports = {};' }));
  },
};

/** Writes local/main.mjs, local/azuriteProcess.mjs, and for tests and benchmarks support/azuriteWorker.mjs, into the folder. */
export async function buildLocal(folder) {
  await build({
    ...common,
    entryPoints: {
      'local/main': at('local', 'main.ts'),
      'local/azuriteProcess': at('local', 'azurite', 'azuriteProcess.ts'),
      'support/azuriteWorker': at('test', 'support', 'azuriteWorker.mjs'),
    },
    outdir: folder,
    // Names stay: they are in stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    sourcesContent: false,
    legalComments: 'none',
    plugins: [noTelemetry],
  });
}
