// What the commands leave where they write: behind links, and when they are interrupted in the middle.
import { readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { diskPair } from './diskPair.ts';
import { cliFolder, type CliFolder } from './runCli.ts';

const createArgs = ['hrl', 'create', '--base', 'base.raw', '--changed', 'changed.raw', '--out', 'delta.hrl'];
const { base, changed } = diskPair();
let folder: CliFolder;

beforeEach(async () => {
  folder = await cliFolder();
  await writeFile(folder.file('base.raw'), base);
  await writeFile(folder.file('changed.raw'), changed);
});
afterEach(() => folder.remove());

it('a link as output stays, and what it points at is made or replaced', async () => {
  await symlink(folder.file('real.hrl'), folder.file('delta.hrl'));
  await writeFile(folder.file('real.hrl'), 'before');
  expect(await folder.run(createArgs)).toMatchObject({ exitCode: 1 });
  expect(await folder.run([...createArgs, '--force'])).toMatchObject({ exitCode: 0 });
  expect(await readlink(folder.file('delta.hrl'))).toBe(folder.file('real.hrl'));
  expect(await folder.run(['hrl', 'verify', 'real.hrl'])).toMatchObject({ exitCode: 0 });
});

it('an interrupt while an image is written exits with 130 and says that the image is no disk now', async () => {
  await folder.run(createArgs);
  // After the check of the log, at the first look while the image is written.
  let looks = 0;
  const controller = new AbortController();
  const signal = Object.assign(controller.signal, {
    throwIfAborted() {
      if (++looks <= 2) return;
      controller.abort();
      throw controller.signal.reason;
    },
  });
  const result = await folder.runJson(['hrl', 'apply', 'delta.hrl', 'base.raw'], { signal });
  expect(result.exitCode).toBe(130);
  expect(result.json['error']).toMatchObject({
    code: 'Interrupted',
    message: expect.stringContaining(
      'base.raw was written. What was written so far is no consistent disk',
    ) as string,
  });
  expect(await folder.run(['hrl', 'apply', 'delta.hrl', 'base.raw'])).toMatchObject({ exitCode: 0 });
  expect((await readFile(folder.file('base.raw'))).equals(changed)).toBe(true);
});
