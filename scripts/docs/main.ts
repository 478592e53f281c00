// Writes the generated pages into docs/ of the working directory.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generatedPages } from './pages.ts';

for (const [name, render] of Object.entries(generatedPages)) await writeFile(join('docs', name), render());
