// Every failure as people and scripts read it: what, cause, what to do, and the exit code.
import { CommanderError } from 'commander';
import { AgentError, ServiceError } from '../agent/agentError.ts';
import { LifeboatError, errorCatalogue } from '../lib/errors.ts';
import { HrlError } from '../lib/hrl/errors.ts';
import { exitCodes, type ExitCode } from './exitCodes.ts';
import type { Io } from './io.ts';

export interface Failure {
  exitCode: ExitCode;
  code: string;
  message: string;
  recommendedAction: string;
  /** Facts that scripts may want: where a log is wrong, which HTTP status came. */
  details: Readonly<Record<string, string | number>>;
}

/** A command line that commander takes but the command does not. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The user interrupted, and what that left behind has to be said. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** The answer of a command whose exit code is part of its result, which it has printed: no failure. */
export class NegativeResult extends Error {
  override readonly name = 'NegativeResult';
}

const serviceCodes: ReadonlySet<string> = new Set([
  'LocalServiceNotRunning',
  'ServiceUnreachable',
  'ServiceAnswerInvalid',
  'Unauthorized',
]);

const isAboutLog = (code: string): boolean =>
  code.startsWith('Log') && code !== 'LogExists' && code !== 'LogTooLarge';

function exitCodeOf(code: string): ExitCode {
  if (serviceCodes.has(code)) return exitCodes.service;
  return isAboutLog(code) && code in errorCatalogue ? exitCodes.logRefused : exitCodes.failed;
}

/** What to do about an error of the product here, where a log is a file and nothing was uploaded. */
function actionFor({ code, kind }: LifeboatError): string {
  if (code === 'LogEntryOutOfBounds')
    return 'Nothing was changed. The log is of another disk, or the disk grew: check both, or give the size.';
  if (code === 'LogChainBroken')
    return 'Nothing was changed. Look for the log that belongs between, or for the right order: `lifeboat hrl inspect` shows the id of a log and that of the one before it.';
  if (isAboutLog(code) && kind === 'invalid')
    return 'Nothing was changed. Fetch the log again from where it was written, or write it anew.';
  return errorCatalogue[code].recommendedAction;
}

function faultOf(error: LifeboatError): Failure['details'] {
  if (!(error instanceof HrlError)) return {};
  const { offsetBytes, field, expected, found } = error;
  return { offsetBytes, field, expected, found };
}

/** What is printed for anything that a command threw. */
export function describeFailure(error: unknown, signal: AbortSignal): Failure {
  const about = (
    exitCode: ExitCode,
    code: string,
    recommendedAction = '',
    details: Failure['details'] = {},
  ): Failure => {
    const message = error instanceof Error ? error.message : String(error);
    return { exitCode, code, message, recommendedAction, details };
  };
  if (error instanceof CommanderError || error instanceof UsageError) {
    const failure = about(exitCodes.usage, 'UsageError', 'See --help.');
    const isHelp = error instanceof CommanderError && error.code === 'commander.help';
    return { ...failure, message: isHelp ? 'Name a command.' : failure.message.replace(/^error: /, '') };
  }
  if (error instanceof AgentError) return about(exitCodeOf(error.code), error.code, error.recommendedAction);
  if (error instanceof ServiceError) {
    const details = { status: error.status, ...(error.target === undefined ? {} : { target: error.target }) };
    return about(exitCodeOf(error.code), error.code, error.recommendedAction, details);
  }
  if (error instanceof LifeboatError) {
    return about(exitCodeOf(error.code), error.code, actionFor(error), faultOf(error));
  }
  if (signal.aborted) {
    const failure = about(
      exitCodes.interrupted,
      'Interrupted',
      'Run the command again: it starts from the beginning.',
    );
    return error instanceof Interrupted ? failure : { ...failure, message: 'Interrupted before the end.' };
  }
  return about(
    exitCodes.failed,
    'InternalError',
    'This is a defect of lifeboat: report it with this message.',
  );
}

/** Prints a failure: text on stderr, or one JSON document on stdout. */
export function printFailure(failure: Failure, io: Io, isJson: boolean): void {
  const { exitCode, code, message, recommendedAction, details } = failure;
  if (isJson) {
    io.stdout.write(
      `${JSON.stringify({ error: { code, message, recommendedAction, exitCode, ...details } })}\n`,
    );
    return;
  }
  io.stderr.write(`lifeboat: ${code}: ${message}\n`);
  if (recommendedAction !== '') io.stderr.write(`  → ${recommendedAction}\n`);
}
