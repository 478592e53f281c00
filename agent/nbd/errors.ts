// Errors of an NBD server, in words that name the export.
import { LifeboatError } from '../../lib/errors.ts';

/** The server did not answer, or its answer stopped. */
export function serverGone(location: string, what: string, cause?: unknown): LifeboatError {
  return new LifeboatError('SourceUnavailable', `${location}: ${what}`, { target: location, cause });
}

/** The server said what the protocol does not allow, or does not offer what is needed. */
export function answerInvalid(location: string, what: string): LifeboatError {
  return new LifeboatError('SourceAnswerInvalid', `${location}: ${what}`, { target: location });
}

/** Text of a server for a message: short, one line, printable. */
export function serverText(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.subarray(0, 400)).toString('utf8');
  return text
    .replaceAll(/[^\x20-\x7e]+/g, ' ')
    .slice(0, 200)
    .trim();
}
