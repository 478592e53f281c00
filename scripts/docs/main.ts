// Writes the generated pages into docs/ of the working directory.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generatedPages } from './pages.ts';

for (const [name, render] of Object.entries(generatedPages)) {
  const path = join('docs', name);
  await writeFile(path, render(await readFile(path, 'utf8')));
}
