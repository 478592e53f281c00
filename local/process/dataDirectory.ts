// The folder that holds everything a local host remembers. Refuses early, and in words, what cannot work.
import { constants } from 'node:fs';
import { access, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
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
    await mkdir(directory.azurite, { recursive: true });
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new StartError(`Cannot use the data directory ${path}: ${await causeOf(path, error)}`, {
      cause: error,
    });
  }
  return directory;
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
