// What can go wrong on the source side, where the product's own catalogue (lib/errors.ts) has no name for it: files,
// and services that do not answer. Every error says what happened and what to do, and never holds a signed URL.

/** Stable names that scripts may compare. docs/cli.md lists them. */
export type AgentErrorCode =
  | 'FileNotFound'
  | 'FileUnreadable'
  | 'FileExists'
  | 'OutputUnwritable'
  | 'OutputFull'
  | 'DiskFormatUnsupported'
  | 'DiskSizeMismatch'
  | 'ExtentsInvalid'
  | 'SourceChanged'
  | 'DigestsContradict'
  | 'LocalServiceNotRunning'
  | 'ServiceUnreachable'
  | 'ServiceAnswerInvalid'
  | 'ConfigInvalid'
  | 'StateInvalid'
  | 'AgentRunning'
  | 'AgentNotRegistered'
  | 'OperationFailed'
  | 'OperationTimedOut'
  | 'NotAssigned'
  | 'LogExists'
  | 'LogTooLarge'
  | 'UploadRefused'
  | 'UploadSuperseded'
  | 'UploadUnreachable';

/** An error of the source side. The message says what and why, `recommendedAction` what to do. */
export class AgentError extends Error {
  readonly code: AgentErrorCode;
  readonly recommendedAction: string;

  constructor(
    code: AgentErrorCode,
    message: string,
    recommendedAction: string,
    options: { cause?: unknown } = {},
  ) {
    super(message, options);
    this.name = 'AgentError';
    this.code = code;
    this.recommendedAction = recommendedAction;
  }
}

/** An error that the service answered with, in its own words. */
export class ServiceError extends Error {
  /** A code of lib/errors.ts, or of a later version of the service. */
  readonly code: string;
  readonly status: number;
  readonly target: string | undefined;
  readonly recommendedAction: string;

  constructor(answer: {
    code: string;
    status: number;
    message: string;
    target: string | undefined;
    recommendedAction: string;
  }) {
    super(answer.message);
    this.name = 'ServiceError';
    this.code = answer.code;
    this.status = answer.status;
    this.target = answer.target;
    this.recommendedAction = answer.recommendedAction;
  }
}
