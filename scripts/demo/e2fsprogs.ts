// The ext4 tools of the system: making an image from a folder, changing files in an image, checking it. None of them
// needs root or a mount.
import { execFile } from 'node:child_process';
import { access, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const sbin = ['/sbin', '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/opt/e2fsprogs/sbin'];

export interface E2fsprogs {
  mke2fs: string;
  debugfs: string;
  e2fsck: string;
}

async function findProgram(name: string): Promise<string | undefined> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...sbin].filter(
    (folder) => folder !== '',
  );
  for (const folder of folders) {
    const path = join(folder, name);
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  return undefined;
}

/** The tools, or undefined when one of them is not installed. */
export async function findE2fsprogs(): Promise<E2fsprogs | undefined> {
  const [mke2fs, debugfs, e2fsck] = await Promise.all(['mke2fs', 'debugfs', 'e2fsck'].map(findProgram));
  return mke2fs && debugfs && e2fsck ? { mke2fs, debugfs, e2fsck } : undefined;
}

/** Makes an ext4 image that holds the files of a folder. */
export async function makeExt4(
  tools: E2fsprogs,
  image: string,
  folder: string,
  sizeMiB: number,
): Promise<void> {
  await run(tools.mke2fs, ['-q', '-t', 'ext4', '-L', 'demo', '-d', folder, image, `${sizeMiB}m`]);
}

/** Runs debugfs commands (`write <host file> <name>`, `rm <name>`…) on an image. Throws when one of them fails. */
export async function changeExt4(
  tools: E2fsprogs,
  image: string,
  scriptFile: string,
  commands: readonly string[],
): Promise<void> {
  await writeFile(scriptFile, `${commands.join('\n')}\n`);
  const { stderr } = await run(tools.debugfs, ['-w', '-f', scriptFile, image]);
  // debugfs exits with 0 whatever happened; after its version it prints complaints only.
  const complaints = stderr.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('debugfs '));
  if (complaints.length > 0) throw new Error(`debugfs: ${complaints.join('; ')}`);
}

/** What `e2fsck -fn` says: undefined when the file system is clean, else its complaint. Changes nothing. */
export async function checkExt4(tools: E2fsprogs, image: string): Promise<string | undefined> {
  try {
    await run(tools.e2fsck, ['-f', '-n', image]);
    return undefined;
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    return (stdout ?? String(error)).trim();
  }
}
