// Builds what runs: the function app as one ESM bundle (the shape the Functions worker loads fastest),
// the local host, the command and the demo. The worker injects '@azure/functions-core', so it stays external;
// '@azure/functions-extensions-base' must be the one CommonJS copy that '@azure/functions' also uses,
// or every sdkBinding blob trigger fails with "factory not registered".
// With --watch only the app is built, again and again until standard input closes; the other programs stay as they are.
import { build, context } from 'esbuild';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => join(root, ...parts);
const common = {
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: 'linked',
  logLevel: 'warning',
  outExtension: { '.js': '.mjs' },
  banner: {
    js: "import { createRequire as __cr } from 'node:module'; const require = __cr(import.meta.url);",
  },
};

const app = {
  ...common,
  entryPoints: { index: at('functions', 'index.ts') },
  outdir: at('dist', 'app'),
  minify: true,
  keepNames: true,
  legalComments: 'none',
  splitting: true,
  external: ['@azure/functions-core'],
  alias: {
    '@azure/functions-extensions-base': at(
      'node_modules/@azure/functions-extensions-base/dist/azure-functions-extensions-base.js',
    ),
  },
};

if (process.argv.includes('--watch')) {
  const watched = await context({ ...app, logLevel: 'info' });
  await watched.watch();
  // `npm run dev` holds the other end of standard input: nothing is left behind when it is killed.
  await new Promise((resolve) => process.stdin.resume().on('end', resolve));
  process.exit();
}

rmSync(at('dist'), { recursive: true, force: true });
await build(app);
const programs = {
  'local/main': at('local', 'main.ts'),
  'local/azuriteProcess': at('local', 'azurite', 'azuriteProcess.ts'),
  'demo/main': at('scripts', 'demo', 'main.ts'),
  'soak/main': at('scripts', 'soak', 'main.ts'),
  'bench/main': at('bench', 'main.ts'),
  'docs/main': at('scripts', 'docs', 'main.ts'),
};
await build({ ...common, entryPoints: programs, outdir: at('dist'), packages: 'external' });
// Split, so that a command loads the storage SDK only when it needs it.
await build({
  ...common,
  entryPoints: { lifeboat: at('cli', 'main.ts') },
  outdir: at('dist', 'cli'),
  packages: 'external',
  splitting: true,
});
