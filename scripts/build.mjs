// Builds what runs: the function app (appBundle.mjs), the local host, the command and the demo.
// With --watch only the app is built, again and again until standard input closes; the other programs stay as they are.
import { build, context } from 'esbuild';
import { rmSync } from 'node:fs';
import { app, at, common } from './appBundle.mjs';
import { flagsOf } from './arguments.mjs';
import { buildCommand } from './commandBundle.mjs';
import { buildLocal } from './localBundle.mjs';

if (flagsOf('--watch').has('--watch')) {
  const watched = await context({ ...app, logLevel: 'info' });
  await watched.watch();
  // `npm run dev` holds the other end of standard input: nothing is left behind when it is killed.
  await new Promise((resolve) => process.stdin.resume().on('end', resolve));
  process.exit();
}

rmSync(at('dist'), { recursive: true, force: true });
await build(app);
const programs = {
  'demo/main': at('scripts', 'demo', 'main.ts'),
  'soak/main': at('scripts', 'soak', 'main.ts'),
  'bench/main': at('bench', 'main.ts'),
  'docs/main': at('scripts', 'docs', 'main.ts'),
};
await build({ ...common, entryPoints: programs, outdir: at('dist'), packages: 'external' });
await buildLocal(at('dist'));
await buildCommand(at('dist', 'cli'));
