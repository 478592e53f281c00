import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..', '..', '..');
let folder: string;
const unreleased = (): string => join(folder, 'changelog', 'unreleased');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lifeboat-changelog-'));
  mkdirSync(unreleased(), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function run(args: string[] = [], at = folder) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, 'scripts', 'changelog.mjs'), ...args],
    { encoding: 'utf8', env: { ...process.env, LIFEBOAT_CHANGELOG_ROOT: at } },
  );
  return { status, stdout, stderr };
}
const write = (name: string, text: string): void => writeFileSync(join(unreleased(), name), text);

describe('the changelog', () => {
  it('of this repository has good fragments', () => {
    expect(run([], root)).toMatchObject({ status: 0, stderr: '' });
  });

  it('is written newest release first, by kind, and the fragments are gone', () => {
    write('fixed-b.md', 'B is\nright.\n');
    write('added-a.md', 'A is new.');
    expect(run(['0.1.0']).status).toBe(0);
    write('security-c.md', 'C is closed.');
    expect(run(['0.2.0']).status).toBe(0);
    const text = readFileSync(join(folder, 'CHANGELOG.md'), 'utf8').replaceAll(/\d{4}-\d\d-\d\d/g, 'DATE');
    expect(text).toBe(
      '# Changelog\n\n## 0.2.0 (DATE)\n\n### Security\n\n- C is closed.\n\n' +
        '## 0.1.0 (DATE)\n\n### Added\n\n- A is new.\n\n### Fixed\n\n- B is right.\n',
    );
    expect(readdirSync(unreleased())).toEqual([]);
  });

  it.each([
    ['new-a.md', 'text', 'names are'],
    ['added a.md', 'text', 'names are'],
    ['added-a.md', ' ', 'one to three sentences'],
    ['added-a.md', 'x'.repeat(500), 'at most 400'],
    ['added-a.md', '# Heading', 'without a heading'],
  ])('refuses the fragment %s and changes nothing', (name, text, message) => {
    write(name, text);
    const { status, stderr } = run(['0.1.0']);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
    expect(readdirSync(folder)).toEqual(['changelog']);
  });

  it('refuses a version that is there, none, and an empty release', () => {
    write('added-a.md', 'A.');
    run(['0.1.0']);
    write('added-b.md', 'B.');
    expect(run(['0.1.0']).stderr).toContain('has version 0.1.0 already');
    expect(run(['next']).stderr).toContain('no version');
    rmSync(join(unreleased(), 'added-b.md'));
    expect(run(['0.2.0']).stderr).toContain('nothing to release');
  });
});
