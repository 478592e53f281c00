// How the service says that a log is there already.
import { AgentError } from '../agentError.ts';

/** The last one is the emulator's: a URL that permits creation lacks permission only where there is something to overwrite. */
export const logExistsCodes = [
  'BlobAlreadyExists',
  'UnauthorizedBlobOverwrite',
  'AuthorizationPermissionMismatch',
];

export function logExists(cause: unknown): AgentError {
  const action = 'Ask for the assignment again: it names the next cycle. The same log twice changes nothing.';
  return new AgentError('LogExists', 'A log was uploaded under this name already.', action, { cause });
}
