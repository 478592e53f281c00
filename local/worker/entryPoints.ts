// Finds the files that package.json `main` names (one file or a glob) and loads them as the worker does:
// `import()` for .mjs and for packages of type module, `require` otherwise.
import { readFile, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, relative, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { reasonOf } from '../process/startError.ts';
import { AppLoadError } from './appLoadError.ts';

/** The members of the app's package.json that the host reads. */
export interface AppPackage {
  name?: string;
  main?: string;
  type?: string;
  localHost?: unknown;
}

/** Reads package.json of the app; throws AppLoadError that says what is wrong with it. */
export async function readAppPackage(appDirectory: string): Promise<AppPackage> {
  const file = join(appDirectory, 'package.json');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new AppLoadError(
      `Cannot read ${file} (${reasonOf(error)}): an app needs a package.json whose "main" names its entry point.`,
    );
  }
  try {
    return JSON.parse(text) as AppPackage;
  } catch (error) {
    throw new AppLoadError(`${file} is not valid JSON: ${reasonOf(error)}. Correct the file.`);
  }
}

/** Absolute paths of the entry points, sorted; throws AppLoadError when `main` is missing or matches no file. */
export async function findEntryPoints(appDirectory: string, main: string | undefined): Promise<string[]> {
  if (main === undefined || main === '') {
    throw new AppLoadError(
      `package.json in ${appDirectory} has no "main". Name the built entry point there.`,
    );
  }
  const pattern = toPathPattern(main);
  const files = await listFiles(appDirectory, main);
  const matches = files.filter((file) => pattern.test(relative(appDirectory, file).split(sep).join('/')));
  if (matches.length === 0) {
    throw new AppLoadError(
      `"main" of package.json in ${appDirectory} is "${main}", and no file matches it. Build the app first, or correct "main".`,
    );
  }
  return matches.sort();
}

/** Loads one entry point; an error of the app is wrapped so that it names the file. */
export async function loadEntryPoint(file: string, packageType: string | undefined): Promise<void> {
  const isModule = file.endsWith('.mjs') || (packageType === 'module' && !file.endsWith('.cjs'));
  try {
    if (isModule) await import(pathToFileURL(file).href);
    else createRequire(file)(file);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new AppLoadError(`Worker was unable to load entry point "${file}": ${message}`, error);
  }
}

/** Regular expression for a glob over '/'-separated relative paths: `*`, `**`, `?` and `{a,b}`. */
export function toPathPattern(glob: string): RegExp {
  const source = glob.replace(/^\.\//, '').replaceAll(/\*\*\/|\*\*|\*|\?|[{},]|[^*?{},]+/g, (token) => {
    if (token === '**/') return '(?:[^/]+/)*';
    if (token === '**') return '.*';
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    if (token === '{') return '(?:';
    if (token === '}') return ')';
    if (token === ',') return '|';
    return token.replaceAll(/[.+^$()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${source}$`);
}

/** All files below the part of the pattern that holds no wildcard; nothing when that folder is missing. */
async function listFiles(appDirectory: string, main: string): Promise<string[]> {
  const fixed = main.replace(/^\.\//, '').split('/').slice(0, -1);
  const firstWildcard = fixed.findIndex((segment) => /[*?{]/.test(segment));
  const folder = join(appDirectory, ...(firstWildcard < 0 ? fixed : fixed.slice(0, firstWildcard)));
  try {
    const entries = await readdir(folder, {
      recursive: firstWildcard >= 0 || main.includes('{'),
      withFileTypes: true,
    });
    return entries
      .filter((entry) => entry.isFile() || entry.isSymbolicLink())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return [];
  }
}
