// What an error of the agent is called in a report to the service, and whether it can be reported at all.
import { LifeboatError, errorCatalogue } from '../../lib/errors.ts';
import { sourceErrorCodes } from '../../lib/retry/catalogue.ts';
import { AgentError, ServiceError, type AgentErrorCode } from '../agentError.ts';
import { errnoOf } from '../fileErrors.ts';
import type { SourceErrorCode } from '../serviceClient.ts';

const reportable: ReadonlySet<string> = new Set(sourceErrorCodes);

/** Codes of the product that a source does not report, as those that it does. */
const productCodes: Readonly<Record<string, SourceErrorCode>> = {
  DiskImageCorrupt: 'BrokenVhdChain',
  DiskImageUnsupported: 'InvalidReplicaState',
  SourceUnavailable: 'SourceReadFailed',
  SourceAnswerInvalid: 'SnapshotFailed',
  TrackerBusy: 'SourceBusy',
  StorageUnavailable: 'NetworkUnavailable',
};

const agentCodes: Partial<Record<AgentErrorCode, SourceErrorCode>> = {
  FileNotFound: 'VmNotFound',
  FileUnreadable: 'SourceReadFailed',
  OutputFull: 'LowDiskSpace',
  OutputUnwritable: 'LowDiskSpace',
  SourceChanged: 'SourceBusy',
  DiskSizeMismatch: 'InvalidReplicaState',
  StateInvalid: 'TrackingLost',
  UploadUnreachable: 'NetworkUnavailable',
  UploadRefused: 'NetworkUnavailable',
};

/** The code to report an error under. What nobody foresaw is tried again. */
export function sourceCodeOf(error: unknown): SourceErrorCode {
  if (error instanceof LifeboatError) {
    if (reportable.has(error.code)) return error.code as SourceErrorCode;
    const mapped = productCodes[error.code];
    if (mapped) return mapped;
    return errorCatalogue[error.code].kind === 'fatal' ? 'InvalidReplicaState' : 'SourceReadFailed';
  }
  if (error instanceof AgentError) return agentCodes[error.code] ?? 'SourceReadFailed';
  if (errnoOf(error) === 'ENOSPC') return 'LowDiskSpace';
  return 'SourceReadFailed';
}

/** True when the service itself cannot be told: it does not answer, or not for us. */
export function isOffline(error: unknown): boolean {
  if (error instanceof AgentError)
    return (
      error.code === 'ServiceUnreachable' ||
      error.code === 'LocalServiceNotRunning' ||
      error.code === 'ServiceAnswerInvalid'
    );
  return (
    error instanceof ServiceError && (error.status >= 500 || error.status === 429 || error.status === 401)
  );
}

/** True for answers that only mean that the assignment is another by now. */
export function isOutdated(error: unknown): boolean {
  return (
    error instanceof ServiceError && (error.code === 'OperationNotSupportedInState' || error.status === 404)
  );
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
