// What Azure Resource Manager's refusals mean to us.
import { LifeboatError, type ErrorCode } from '../errors.ts';

/** The body of a refusal, and of the status of a failed operation. */
export interface ArmErrorBody {
  error?: { code?: string; message?: string; details?: readonly { code?: string; message?: string }[] };
}

/** Refusals that pass although their status is a 4xx: somebody else's operation runs, or a copy lags behind. */
const passing = new Set([
  'AnotherOperationInProgress',
  'CanceledAndSupersededDueToAnotherOperation',
  'NetworkingInternalOperationError',
  'OperationPreempted',
  'ReferencedResourceNotProvisioned',
  'RetryableError',
  'RetryableErrorDueToAnotherOperation',
]);

const denied = new Set([
  'AuthorizationFailed',
  'InvalidAuthenticationToken',
  'LinkedAuthorizationFailed',
  'RequestDisallowedByPolicy',
]);

/** True when the same request may succeed later. */
export function isPassing(status: number, code: string): boolean {
  return status === 408 || status === 429 || status >= 500 || passing.has(code);
}

/** The error for an answer, or for the outcome of an operation (status 0). `what` says what was asked for. */
export function armError(what: string, status: number, { error }: ArmErrorBody): LifeboatError {
  const code = error?.code ?? '';
  const details = (error?.details ?? []).flatMap(({ code: inner, message }) =>
    message === undefined ? [] : [`${inner ?? ''} ${message}`.trim()],
  );
  const words = [error?.message ?? 'no reason was given', ...details].join('; ');
  const facts = [code, status > 0 ? `HTTP ${status}` : ''].filter((text) => text !== '').join(', ');
  return new LifeboatError(lifeboatCode(status, code), `${what}: ${redact(words)} (${facts})`);
}

function lifeboatCode(status: number, code: string): ErrorCode {
  if (isPassing(status, code)) return 'ComputeUnavailable';
  if (status === 401 || status === 403 || denied.has(code)) return 'ComputeDenied';
  if (status === 412 || code === 'PreconditionFailed') return 'TargetNameTaken';
  return 'ComputeFailed';
}

/** Messages quote URLs of disks, whose query may be a signature. */
export function redact(text: string): string {
  return text.replaceAll(/(https?:\/\/[^\s"'?]*)\?[^\s"']*/gi, '$1');
}
