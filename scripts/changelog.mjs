// CHANGELOG.md out of fragments: one file in changelog/unreleased for each change that a user notices, named
// <kind>-<few-words>.md, with one sentence or a short paragraph. Written with the change, they never conflict.
//   node scripts/changelog.mjs            prints what the next release would say; fails on a fragment that is no good
//   node scripts/changelog.mjs 0.2.0      writes that release into CHANGELOG.md and removes the fragments
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const kinds = {
  security: 'Security',
  added: 'Added',
  changed: 'Changed',
  fixed: 'Fixed',
  removed: 'Removed',
};
const longest = 400;
const root = process.env.LIFEBOAT_CHANGELOG_ROOT ?? join(import.meta.dirname, '..');
const folder = join(root, 'changelog', 'unreleased');
const file = join(root, 'CHANGELOG.md');
const title = '# Changelog\n';

function readFragments() {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name !== 'README.md') : [];
  return names.sort().map((name) => {
    const kind = /^([a-z]+)-[a-z0-9-]+\.md$/.exec(name)?.[1];
    if (!kind || !(kind in kinds))
      throw new Error(`${name}: names are <kind>-<few-words>.md with kind ${Object.keys(kinds).join(', ')}.`);
    const text = readFileSync(join(folder, name), 'utf8').trim().replaceAll(/\s+/g, ' ');
    if (text === '' || text.length > longest || text.startsWith('#'))
      throw new Error(
        `${name}: write one to three sentences, at most ${longest} characters, without a heading.`,
      );
    return { name, kind, text };
  });
}

function section(heading, fragments) {
  const parts = Object.entries(kinds).flatMap(([kind, label]) => {
    const lines = fragments.filter((fragment) => fragment.kind === kind).map(({ text }) => `- ${text}`);
    return lines.length === 0 ? [] : [`### ${label}\n\n${lines.join('\n')}\n`];
  });
  return `## ${heading}\n\n${parts.join('\n')}`;
}

try {
  const [version] = process.argv.slice(2);
  const fragments = readFragments();
  if (version === undefined) {
    console.log(section('Unreleased', fragments));
  } else {
    if (!/^\d+\.\d+\.\d+$/.test(version)) throw new Error(`${version} is no version such as 1.2.3.`);
    const before = existsSync(file) ? readFileSync(file, 'utf8').replace(title, '').trim() : '';
    if (before.includes(`## ${version} `)) throw new Error(`CHANGELOG.md has version ${version} already.`);
    if (fragments.length === 0)
      throw new Error('There is nothing to release: changelog/unreleased is empty.');
    const date = new Date().toISOString().slice(0, 10);
    const all = [
      title,
      section(`${version} (${date})`, fragments),
      ...(before === '' ? [] : [`${before}\n`]),
    ];
    writeFileSync(file, all.join('\n'));
    for (const { name } of fragments) rmSync(join(folder, name));
    console.log(`CHANGELOG.md has ${version} with ${fragments.length} changes.`);
  }
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
