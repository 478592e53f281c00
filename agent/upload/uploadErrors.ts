// Errors of uploads through signed URLs, in the words of the source side. The URL is a secret and appears nowhere.
import { LifeboatError } from '../../lib/errors.ts';
import { toLifeboatError } from '../../lib/storage/azure/errors.ts';
import { AgentError } from '../agentError.ts';

/** Maps what the storage SDK threw while `what` was done; AgentErrors, aborts and LifeboatErrors of reading pass. */
export function uploadError(error: unknown, what: string, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  if (error instanceof AgentError || error instanceof LifeboatError || error instanceof RangeError)
    return error;
  const mapped = toLifeboatError(error, what);
  if (!(mapped instanceof LifeboatError)) return mapped;
  const { code, message, cause } = mapped;
  if (code === 'FenceLost') {
    const superseded = `${what}: another upload of the same disk began meanwhile.`;
    const action = 'Let one upload run at a time; this one has stopped.';
    return new AgentError('UploadSuperseded', superseded, action, { cause });
  }
  if (code === 'StorageUnavailable') {
    const action = 'Check the network to the storage account, then repeat.';
    return new AgentError('UploadUnreachable', message, action, { cause });
  }
  if (code === 'StorageDenied' || code === 'ReplicaLeaseLost' || code === 'BlobNotFound') {
    const action =
      'The upload URL is expired, or the disk is not open for upload any more: ask for the assignment again.';
    return new AgentError('UploadRefused', message, action, { cause });
  }
  return mapped;
}
