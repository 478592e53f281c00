// The only place that reads the SDK's errors. What leaves it is a LifeboatError (or a RangeError for a range outside a
// blob) with a text that names the blob and the service's code, and never a URL's query: that may be a signature.
import { LifeboatError, type ErrorCode } from '../../errors.ts';

/** What the SDKs' errors have in common; both @azure/storage-blob and data-tables throw this shape. */
interface ServiceError extends Error {
  code?: string;
  statusCode?: number;
  response?: { headers?: { get(name: string): string | undefined } };
}

const leaseCodes = new Set([
  'LeaseAlreadyBroken',
  'LeaseAlreadyPresent',
  'LeaseIdMismatchWithBlobOperation',
  'LeaseIdMismatchWithLeaseOperation',
  'LeaseIdMissing',
  'LeaseIsBreakingAndCannotBeAcquired',
  'LeaseIsBreakingAndCannotBeChanged',
  'LeaseIsBrokenAndCannotBeRenewed',
  'LeaseLost',
  'LeaseNotPresentWithBlobOperation',
  'LeaseNotPresentWithLeaseOperation',
]);

/** Codes that end well when tried again later although their status is a 4xx. */
const busyCodes = new Set([
  'AccountBeingCreated',
  'ContainerBeingDeleted',
  'Md5Mismatch',
  'MemoryExtentStoreAtSizeLimit',
  'PendingCopyOperation',
  'TableBeingDeleted',
]);

const conditionCodes = new Set([
  'ConditionNotMet',
  'EntityAlreadyExists',
  'EntityNotFound',
  'SourceConditionNotMet',
  'TargetConditionNotMet',
  'UpdateConditionNotSatisfied',
]);

const exactCodes: Readonly<Record<string, ErrorCode>> = {
  BlobAlreadyExists: 'BlobExists',
  BlobNotFound: 'BlobNotFound',
  ContainerNotFound: 'ResourceNotFound',
  SequenceNumberConditionNotMet: 'FenceLost',
  TableNotFound: 'ResourceNotFound',
};

/** Connection failures before the service can have seen a byte of the request. */
const unsentCodes = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
const networkCode = /^(E[A-Z_]{3,}|REQUEST_SEND_ERROR|PARSE_ERROR|UND_ERR_.*)$/;
/** How the SDK reports a body that ended early, and a copy that the service gave up. */
const brokenTransfer =
  /Data corruption failure|aborted|socket hang up|terminated|premature close|Blob copy failed/i;
/** Deadlines of ours, in the words of the layers that notice them. */
const deadlineNames = new Set(['AbortError', 'TimeoutError', 'AggregateError', 'PollerStoppedError']);

/**
 * Maps anything thrown by the SDK. `what` says what was being done to which blob or row. `onCondition` is the code for a
 * failed ETag condition (or the insert of an existing row), which means different things to different ports.
 * LifeboatErrors and RangeErrors pass unchanged.
 */
export function toLifeboatError(
  error: unknown,
  what: string,
  onCondition: ErrorCode = 'PreconditionFailed',
): LifeboatError | RangeError {
  if (error instanceof LifeboatError || error instanceof RangeError) return error;
  if (!(error instanceof Error))
    return new LifeboatError('InternalError', `${what}: ${redact(String(error))}`);
  const service: ServiceError = error;
  const code = errorCode(service);
  const status = service.statusCode;
  const facts = [code, status && `HTTP ${status}`, requestId(service)].filter(Boolean).join(', ');
  const message = `${what}: ${firstLine(redact(error.message))}${facts === '' ? '' : ` (${facts})`}`;
  if (status === 416) return new RangeError(message);
  return new LifeboatError(lifeboatCode(service, code, onCondition), message, { cause: slimCause(service) });
}

/**
 * True when the service surely did not carry the request out: it said that it is busy, or that the body is not the one
 * that was sent, or was never reached.
 */
export function isSurelyRefused(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const service: ServiceError = error;
  const code = errorCode(service);
  return (
    unsentCodes.has(code) ||
    (service.statusCode === 503 && code === 'ServerBusy') ||
    (service.statusCode === 400 && code === 'Md5Mismatch')
  );
}

/**
 * Statuses of a copy with which the service says that it does not do such a thing (501, 405, 400), or may not read the
 * source (401, 403): in an account behind private endpoints it cannot reach itself.
 */
const copyRefusals = new Set<number | undefined>([400, 401, 403, 405, 501]);

/**
 * True when the service refused a copy as such, not for the state of its source or its target. Nothing has changed then,
 * and the bytes can be carried.
 */
export function isCopyRefused(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { statusCode }: ServiceError = error;
  return (
    copyRefusals.has(statusCode) || (statusCode === 409 && errorCode(error) === 'CannotVerifyCopySource')
  );
}

/** True when the service answered that the blob, snapshot or row is not there (and not that its container is missing). */
export function isNotFound(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const service: ServiceError = error;
  return service.statusCode === 404 && !/^(Container|Table)NotFound$/.test(errorCode(service));
}

/** True when the error has one of these service codes. */
export function hasServiceCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && codes.includes(errorCode(error));
}

/** Removes the query of every URL, and whatever looks like a signature elsewhere. */
export function redact(text: string): string {
  return text.replace(/(https?:\/\/[^\s"'?]*)\?[^\s"']*/gi, '$1').replace(/\bsig=[^&\s"']*/gi, '[signature]');
}

function lifeboatCode(error: ServiceError, code: string, onCondition: ErrorCode): ErrorCode {
  const exact = exactCodes[code];
  if (exact !== undefined) return exact;
  if (leaseCodes.has(code)) return 'ReplicaLeaseLost';
  if (conditionCodes.has(code)) return onCondition;
  if (busyCodes.has(code)) return 'StorageUnavailable';
  return error.statusCode === undefined
    ? clientSideCode(error, code)
    : statusErrorCode(error.statusCode, onCondition);
}

function statusErrorCode(status: number, onCondition: ErrorCode): ErrorCode {
  if (status === 404) return 'BlobNotFound';
  if (status === 401 || status === 403) return 'StorageDenied';
  if (status === 304 || status === 412) return onCondition;
  if (status === 408 || status === 429 || status >= 500) return 'StorageUnavailable';
  // A 2xx or 3xx that the SDK could not understand: something between us and the service answered.
  if (status < 400) return 'StorageUnavailable';
  return 'InvalidRequest';
}

/** Errors without an answer of the service: the network, a timeout, the identity endpoint, or a defect of ours. */
function clientSideCode(error: ServiceError, code: string): ErrorCode {
  if (/^(CredentialUnavailable|Authentication(Required)?)Error$/.test(error.name)) return 'StorageDenied';
  if (deadlineNames.has(error.name) || networkCode.test(code) || brokenTransfer.test(error.message))
    return 'StorageUnavailable';
  return 'InternalError';
}

/** The service's code: in the body, or (answers to HEAD have none) in a header. */
function errorCode(error: ServiceError): string {
  if (typeof error.code === 'string' && error.code !== '') return error.code;
  return error.response?.headers?.get('x-ms-error-code') ?? '';
}

function requestId(error: ServiceError): string | undefined {
  const id = error.response?.headers?.get('x-ms-request-id');
  return id === undefined ? undefined : `request ${id}`;
}

/** The SDK's error holds the request with its URL and headers, so it must not travel on as the cause. */
function slimCause(error: ServiceError): Error {
  const cause = new Error(redact(error.message));
  cause.name = error.name;
  if (error.stack !== undefined) cause.stack = redact(error.stack);
  return cause;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
