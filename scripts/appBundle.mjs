// How the function app is bundled: one ESM entry with split chunks, the shape the Functions worker loads fastest. The worker
// injects '@azure/functions-core', so it stays external; '@azure/functions-extensions-base' must be the one CommonJS copy
// that '@azure/functions' also uses, or every sdkBinding blob trigger fails with "factory not registered".
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const at = (...parts) => join(root, ...parts);

/** Limit of all the app's code together. */
export const bundleLimitBytes = 3 * 2 ** 20;
/** And of what every start loads, whatever it is started for. */
export const startLimitBytes = 2 * 2 ** 20;

export const common = {
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: 'linked',
  logLevel: 'warning',
  absWorkingDir: root,
  outExtension: { '.js': '.mjs' },
  banner: {
    js: "import { createRequire as __cr } from 'node:module'; const require = __cr(import.meta.url);",
  },
};

/**
 * durable-functions requires these when it is loaded, and needs them only when it calls the host or waits for days: half of its
 * start. They are evaluated when they are first used.
 */
const usedLater = ['axios', 'moment', 'validator'];
const lazily = {
  name: 'lazily',
  setup(build) {
    build.onResolve({ filter: new RegExp(`^(${usedLater.join('|')})$`) }, ({ path, importer }) =>
      importer.replaceAll('\\', '/').includes('/node_modules/durable-functions/')
        ? { path, namespace: 'lazily' }
        : undefined,
    );
    build.onLoad({ filter: /./, namespace: 'lazily' }, ({ path }) => ({
      contents: `
        const real = () => require('${path}');
        module.exports = new Proxy(function () {}, {
          get: (_target, key) => real()[key],
          apply: (_target, self, given) => Reflect.apply(real(), self, given),
          construct: (_target, given) => Reflect.construct(real(), given),
        });`,
      resolveDir: root,
    }));
  },
};

export const app = {
  ...common,
  entryPoints: { index: at('functions', 'index.ts') },
  outdir: at('dist', 'app'),
  minify: true,
  keepNames: true,
  legalComments: 'none',
  splitting: true,
  plugins: [lazily],
  // The package debug looks for supports-color and does without; here it would find a development dependency.
  external: ['@azure/functions-core', 'supports-color'],
  alias: {
    '@azure/functions-extensions-base': at(
      'node_modules/@azure/functions-extensions-base/dist/azure-functions-extensions-base.js',
    ),
  },
};
