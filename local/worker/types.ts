// The seam between the worker (the loaded app) and whoever triggers its functions: HTTP, timers, blobs, Durable.
// Values have the shape the Functions host sends over gRPC, so that no trigger can pass something the
// real host could not.

/** Tells the app's resource factory which object to open instead of carrying its bytes. */
export interface ModelBindingData {
  version: string;
  source: string;
  contentType: string;
  content: Uint8Array;
}

/** One oneof value as the host's RPC carries it: exactly one member is set, none for "no value". */
export interface TypedData {
  string?: string;
  json?: string;
  bytes?: Uint8Array;
  int?: number;
  double?: number;
  http?: unknown;
  modelBindingData?: ModelBindingData;
  [oneof: string]: unknown;
}

/** One binding as the app registered it, options verbatim. */
export interface FunctionBinding {
  name: string;
  type: string;
  direction: 'in' | 'out';
  [option: string]: unknown;
}

/** Host-executed retries (`retry` of a registration). Durations in milliseconds; `maxRetryCount` -1 is for ever. */
export interface RetryOptions {
  strategy: 'fixedDelay' | 'exponentialBackoff';
  maxRetryCount: number;
  /** fixedDelay: the delay; exponentialBackoff: the first delay. */
  delayMs: number;
  /** exponentialBackoff: no delay is longer. */
  maximumDelayMs: number;
}

/** What the host knows of an earlier attempt, for a function with a retry policy. */
export interface RetryContext {
  retryCount: number;
  maxRetryCount: number;
  exception?: { message: string; source?: string; stackTrace?: string };
}

/** A registered function. `trigger` is the one member of `bindings` whose type ends in `Trigger`. */
export interface LoadedFunction {
  name: string;
  functionId: string;
  trigger: FunctionBinding;
  bindings: readonly FunctionBinding[];
  retry?: RetryOptions;
}

/** One call of a function. */
export interface Invocation {
  functionId: string;
  /** Value of the trigger binding; `undefined` sends no value at all. */
  trigger: TypedData | undefined;
  triggerMetadata?: Record<string, TypedData>;
  /** W3C `traceparent` of what caused the call: its trace goes on. */
  traceParent?: string | undefined;
  /** Values of the other input bindings, by binding name. */
  inputs?: Record<string, TypedData>;
  /** A fresh UUID when absent. */
  invocationId?: string;
  retryContext?: RetryContext;
}

/** What the handler gave back, converted by the app's programming model. */
export interface InvocationResult {
  returnValue?: TypedData;
  outputs: ReadonlyMap<string, TypedData>;
}

/** The loaded app. */
export interface Worker {
  readonly functions: readonly LoadedFunction[];
  /** Runs the pre-invocation hooks, the handler and the post-invocation hooks; rejects with the handler's own error. */
  invoke(invocation: Invocation): Promise<InvocationResult>;
  /** Runs the `appTerminate` hooks. May be called twice; the second call does nothing. */
  terminate(): Promise<void>;
}

export type LogLevel = 'trace' | 'debug' | 'information' | 'warning' | 'error' | 'critical';

/** Where every log line of the host and of the app goes. `category` names the speaker, e.g. `Host.Timer` or `Function.merge`. */
export interface HostLog {
  (level: LogLevel, category: string, message: string): void;
}
