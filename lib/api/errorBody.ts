// Errors as ARM clients read them. What is not ours is not shown: the log has it, under the request's id.
import { LifeboatError, errorCatalogue } from '../errors.ts';
import type { ApiResponse } from './http.ts';

const ours = (error: unknown, requestId: string): LifeboatError =>
  error instanceof LifeboatError
    ? error
    : new LifeboatError(
        'InternalError',
        `Something unexpected happened; the log has it under request id ${requestId}.`,
      );

function headersFor({ code }: LifeboatError, retryAfterSeconds: number | undefined): Record<string, string> {
  const { httpStatus } = errorCatalogue[code];
  const seconds = retryAfterSeconds ?? (httpStatus === 503 ? 2 : undefined);
  return {
    ...(httpStatus === 401 ? { 'www-authenticate': 'Bearer' } : {}),
    ...(seconds === undefined ? {} : { 'retry-after': String(seconds) }),
  };
}

/** An error as data of its own: what the caller did and what to do about it, in every field that clients look at. */
export function errorResponse(error: unknown, requestId: string, retryAfterSeconds?: number): ApiResponse {
  const shown = ours(error, requestId);
  const { code, message, target } = shown;
  const { httpStatus, possibleCauses, recommendedAction } = errorCatalogue[code];
  return {
    status: httpStatus,
    headers: headersFor(shown, retryAfterSeconds),
    body: {
      error: {
        ...{ code, message, ...(target === undefined ? {} : { target }) },
        details: [
          {
            ...{ code, message, ...(target === undefined ? {} : { target }) },
            ...{ possibleCauses, recommendedAction, clientRequestId: requestId },
          },
        ],
      },
    },
  };
}
