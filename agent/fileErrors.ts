// Errors of the file system in words that name the file, the cause and what to do.
import { AgentError } from './agentError.ts';

/** The errno name of a system error (`ENOENT`), or undefined for any other error. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' && /^E[A-Z0-9]+$/.test(error.code) ? error.code : undefined;
}

/** An error of reading `path`; what is no system error comes back unchanged. */
export function readError(error: unknown, path: string): unknown {
  const errno = errnoOf(error);
  if (errno === undefined) return error;
  if (errno === 'ENOENT' || errno === 'ENOTDIR')
    return new AgentError('FileNotFound', `${path} does not exist.`, 'Check the path.', { cause: error });
  const reason =
    errno === 'EACCES' || errno === 'EPERM'
      ? 'permission denied'
      : errno === 'EISDIR'
        ? 'it is a folder'
        : errno;
  const message = `${path} cannot be read: ${reason}.`;
  return new AgentError('FileUnreadable', message, 'Check the path and its permissions.', { cause: error });
}

const fullReasons: Readonly<Record<string, string>> = {
  ENOSPC: 'the file system is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file would be larger than the file system or the process may make it',
};

const unwritableReasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'a part of its path is no folder',
  EISDIR: 'it is a folder',
};

/** An error of writing `path`; what is no system error comes back unchanged. `leftBehind` says what remains. */
export function writeError(error: unknown, path: string, leftBehind: string): unknown {
  const errno = errnoOf(error);
  if (errno === undefined) return error;
  const full = fullReasons[errno];
  if (full !== undefined) {
    const message = `${path} cannot be written: ${full} (${errno}). ${leftBehind}`;
    return new AgentError('OutputFull', message, 'Free space, or write somewhere else.', { cause: error });
  }
  const message = `${path} cannot be written: ${unwritableReasons[errno] ?? errno}. ${leftBehind}`;
  return new AgentError('OutputUnwritable', message, 'Check the path and its permissions.', { cause: error });
}
