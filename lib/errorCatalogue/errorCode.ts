// Errors and their codes as they are stored.
import * as z from 'zod';
import { errorCatalogue } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

/** A code of the catalogue. */
export const errorCode = z.custom<ErrorCode>(
  (code) => typeof code === 'string' && Object.hasOwn(errorCatalogue, code),
);

/** An `ErrorRecord`. */
export const errorRecord = z.object({ code: errorCode, message: z.string() });
