// The Bicep compiler, for people, tests and CI. It comes as a NuGet package, is fetched once through the .NET SDK, and is
// kept in the user's cache, outside the project.
//   node scripts/bicep.mjs           compiles infra/; a warning is an error
//   node scripts/bicep.mjs --path    prints where the compiler is
// Exit codes: 0 done · 1 does not compile · 3 no compiler here, with the reason.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const version = '0.49.2';
const infra = join(dirname(dirname(fileURLToPath(import.meta.url))), 'infra');
const templates = ['main.bicep', 'eventSubscription.bicep'];
const noCompiler = 3;

const system = { linux: 'linux', darwin: 'osx', win32: 'win' }[process.platform];
const packageName = `Azure.Bicep.CommandLine.${system}-${process.arch}`;
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'lifeboat', 'bicep');

/** Path of the compiler, fetched if need be. Throws an Error that says why there is none. */
function compiler() {
  if (process.env.LIFEBOAT_BICEP) return process.env.LIFEBOAT_BICEP;
  const kept = join(cache, `bicep-${version}${process.platform === 'win32' ? '.exe' : ''}`);
  if (!existsSync(kept)) fetchCompiler(kept);
  return kept;
}

function fetchCompiler(kept) {
  if (spawnSync('dotnet', ['--version']).status !== 0)
    throw new Error('the .NET SDK (dotnet) is not installed, and LIFEBOAT_BICEP does not name a compiler');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-bicep-'));
  try {
    writeFileSync(
      join(folder, 'fetch.csproj'),
      `<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><TargetFramework>net8.0</TargetFramework></PropertyGroup>
       <ItemGroup><PackageDownload Include="${packageName}" Version="[${version}]" /></ItemGroup></Project>`,
    );
    const packages = join(folder, 'packages');
    const restored = spawnSync('dotnet', ['restore', '--packages', packages], {
      cwd: folder,
      encoding: 'utf8',
    });
    if (restored.status !== 0)
      throw new Error(`dotnet could not restore ${packageName} ${version}: ${restored.stdout.trim()}`);
    const tool = join(packages, packageName.toLowerCase(), version, 'tools', 'bicep');
    const found = [tool, `${tool}.exe`].find(existsSync);
    if (!found) throw new Error(`the package ${packageName} ${version} has no compiler in tools/`);
    chmodSync(found, 0o755);
    moveInto(kept, found);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Complete or not at all, also when two runs fetch at once and when the cache is another file system. */
function moveInto(kept, found) {
  const part = `${kept}.${process.pid}`;
  copyFileSync(found, part);
  renameSync(part, kept);
}

let path;
try {
  path = compiler();
} catch (error) {
  console.error(`No Bicep compiler: ${error.message}.`);
  process.exit(noCompiler);
}
if (process.argv.includes('--path')) {
  console.log(path);
  process.exit(0);
}
let failed = false;
for (const template of templates) {
  const { status, stderr } = spawnSync(path, ['build', join(infra, template), '--stdout'], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  const isClean = status === 0 && stderr.trim() === '';
  failed ||= !isClean;
  console.log(`${isClean ? 'ok  ' : 'FAIL'} infra/${template}`);
  if (!isClean) console.error(stderr);
}
process.exit(failed ? 1 : 0);
