// The folder that holds everything a local host remembers. Refuses early, and in words, what cannot work.
import { constants } from 'node:fs';
import { access, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StartError, errnoOf, reasonOf } from './startError.ts';

/** Paths inside the data directory. */
export interface DataDirectory {
  path: string;
  azurite: string;
  lockFile: string;
  portsFile: string;
  secretsFile: string;
  keysFile: string;
  localJsonFile: string;
  tls: string;
}

/** Makes the folder when it is missing; throws StartError when it is a file or not writable. */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  const directory: DataDirectory = {
    path,
    azurite: join(path, 'azurite'),
    lockFile: join(path, 'host.lock'),
    portsFile: join(path, 'ports.json'),
    secretsFile: join(path, 'secrets.json'),
    keysFile: join(path, 'keys.json'),
    localJsonFile: join(path, 'local.json'),
    tls: join(path, 'tls'),
  };
  try {
    await makeFolder(directory.azurite);
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new StartError(`Cannot use the data directory ${path}: ${await causeOf(path, error)}`, {
      cause: error,
    });
  }
  return directory;
}

/** Node's own recursive mkdir never returns where a folder exists in which none can be made, such as /proc. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const isThere = async (folder: string): Promise<boolean> =>
      (await stat(folder).catch(() => undefined)) !== undefined;
    if (errnoOf(error) === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (errnoOf(error) !== 'ENOENT' || (await isThere(dirname(path)))) throw error;
    await makeFolder(dirname(path));
    await makeFolder(path);
  }
}

async function causeOf(path: string, error: unknown): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined && !found.isDirectory()) {
    return 'it is a file. Remove it, or name another folder with --data-dir.';
  }
  if (errnoOf(error) === 'EACCES' || errnoOf(error) === 'EROFS') {
    return 'it is not writable for this user. Correct its permissions, or name another folder with --data-dir.';
  }
  return `${reasonOf(error)}. Name another folder with --data-dir.`;
}
