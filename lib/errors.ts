// Every error the product can name, in one catalogue: what kind it is (which decides the reaction), which HTTP
// status it has, and what an administrator reads about causes and remedies. Codes are facts and never change.

import type { CatalogueEntry, ErrorKind } from './errorCatalogue/entry.ts';
import { healthErrors } from './errorCatalogue/health.ts';
import { logsErrors } from './errorCatalogue/logs.ts';
import { recoveryErrors } from './errorCatalogue/recovery.ts';
import { replicasErrors } from './errorCatalogue/replicas.ts';
import { requestsErrors } from './errorCatalogue/requests.ts';
import { sourceErrors } from './errorCatalogue/source.ts';

export type { ErrorKind } from './errorCatalogue/entry.ts';

/** The catalogue. `docs/errors.md` lists the same rows. */
export const errorCatalogue = {
  ...requestsErrors,
  ...healthErrors,
  ...logsErrors,
  ...replicasErrors,
  ...recoveryErrors,
  ...sourceErrors,
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof errorCatalogue;

export interface LifeboatErrorOptions {
  cause?: unknown;
  /** What the error is about (blob name, field path): shown as ARM `target`. */
  target?: string;
}

/** The only error type that crosses a boundary of the product. */
export class LifeboatError extends Error {
  readonly code: ErrorCode;
  readonly target: string | undefined;

  constructor(code: ErrorCode, message: string, options: LifeboatErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'LifeboatError';
    this.code = code;
    this.target = options.target;
  }

  get kind(): ErrorKind {
    return errorCatalogue[this.code].kind;
  }
}

/** True when `error` is a LifeboatError, with that code if one is given. */
export function isLifeboatError(error: unknown, ...codes: ErrorCode[]): error is LifeboatError {
  return error instanceof LifeboatError && (codes.length === 0 || codes.includes(error.code));
}

/** An error as data: what orchestrations, jobs and health rows carry. */
export interface ErrorRecord {
  code: ErrorCode;
  message: string;
}

/** Turns anything thrown into data; an unknown throw becomes `InternalError` with its message. */
export function toErrorRecord(error: unknown): ErrorRecord {
  if (error instanceof LifeboatError) return { code: error.code, message: error.message };
  return { code: 'InternalError', message: error instanceof Error ? error.message : String(error) };
}

/** Throws an assertion error: an invariant of the product does not hold. Never for bad input. */
export function assertInvariant(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken: ${invariant}`);
}
