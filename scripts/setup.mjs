// Makes `npm start`, `npm test` and `npm run demo` work as the first command after a clone, with nothing
// but Node: installs the packages of the lockfile and builds what changed (with --build: everything). Uses no package itself.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { flagsOf } from './arguments.mjs';

const flags = flagsOf('--build');
const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Everything that a program in dist/ is made of; the soak shares code with the tests. */
const sourceFolders = [
  'functions',
  'orchestrators',
  'lib',
  'agent',
  'cli',
  'local',
  'scripts',
  'bench',
  'test',
];
const minimumNode = [20, 19];

function fail(message) {
  console.error(message);
  process.exit(1);
}

function run(command, args, what) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (result.status !== 0) fail(`${what} failed (${result.error?.message ?? `exit code ${result.status}`}).`);
}

/** Hash of file contents, so that a fresh checkout and an old build are told apart whatever their times say. */
function hashOf(files) {
  const hash = createHash('sha256').update(process.version);
  for (const file of files)
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
      .update('\0');
  return hash.digest('hex');
}

function sourceFiles() {
  return sourceFolders.flatMap((folder) => {
    if (!existsSync(join(root, folder))) return [];
    return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
      .sort();
  });
}

/** Runs `work` unless the stamp file says it was last done for the same inputs. */
function once(stampFile, files, work, force = false) {
  const hash = hashOf(files);
  if (!force && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === hash) return;
  work();
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, hash);
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < minimumNode[0] || (major === minimumNode[0] && minor < minimumNode[1])) {
  fail(`Lifeboat needs Node.js ${minimumNode.join('.')} or later; this is ${process.version}.`);
}

once(join(root, 'node_modules', '.lifeboat-installed'), ['package-lock.json'], () => {
  console.error('Installing packages (first run)…');
  const npmCli = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  if (npmCli) run(process.execPath, [npmCli, ...args], 'Installing packages');
  else run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, 'Installing packages');
});
once(
  join(root, 'dist', '.built'),
  ['package.json', 'package-lock.json', ...sourceFiles()],
  () => run(process.execPath, [join(root, 'scripts', 'build.mjs')], 'Building'),
  flags.has('--build'),
);
