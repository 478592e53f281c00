// Which test files share a thread, where modules are loaded once for all of them, and which have a process each. Loading takes longer
// than the tests of most files.
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What another test file could notice: another clock, changes of the process or of what is global, measured memory. */
const notShared = /\bvi\.|\bprocess\.(env\.\w+ =|chdir|on\(|umask|exit)|\bglobalThis\b|memoryUsage/;
/** At the top of a module it is set for the file that loads the module first, and for no other. */
const hookAtTop = /^(before|after)(All|Each)\(/m;
const imports = /^(?:import|export)\b[^;]*?'(\.[^']+\.ts)'/gm;

/** Whether neither the test file nor what it imports from the folder has a reason against it. */
function canShare(testFile: string, folder: string): boolean {
  const files = new Set([testFile]);
  for (const file of files) {
    const text = readFileSync(file, 'utf8');
    if (notShared.test(text) || (file !== testFile && hookAtTop.test(text))) return false;
    for (const [, path = ''] of text.matchAll(imports)) {
      const imported = join(dirname(file), path);
      if (imported.startsWith(folder)) files.add(imported);
    }
  }
  return true;
}

/** The test files below the folder that can share a thread. */
export function sharedFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(folder, name))
    .filter((file) => canShare(file, folder));
}
