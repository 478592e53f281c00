// What an orchestrator reports after an episode: all actions since its start, and how it ended, if it did.
// Parsing is the trust boundary: everything behind it may rely on these types.

/** Retry policy of an action, as the SDK serializes it. */
export interface ActionRetryOptions {
  firstRetryIntervalInMilliseconds: number;
  maxNumberOfAttempts: number;
  backoffCoefficient?: number;
  maxRetryIntervalInMilliseconds?: number;
  retryTimeoutInMilliseconds?: number;
}

export interface ActivityAction {
  kind: 'activity';
  functionName: string;
  input: unknown;
  retry?: ActionRetryOptions;
}

export interface SubOrchestrationAction {
  kind: 'subOrchestration';
  functionName: string;
  instanceId?: string;
  version?: string;
  input: unknown;
  retry?: ActionRetryOptions;
}

export interface TimerAction {
  kind: 'timer';
  /** ISO 8601. */
  fireAt: string;
  isCanceled: boolean;
}

export interface ExternalEventAction {
  kind: 'externalEvent';
  eventName: string;
}

export interface CompoundAction {
  kind: 'any' | 'all';
  children: Action[];
}

export interface ContinueAsNewAction {
  kind: 'continueAsNew';
  /** JSON text of the next execution's input; null for none. */
  input: string | null;
}

/** Something that this host does not offer; it fails the orchestration that asks for it. */
export interface UnsupportedAction {
  kind: 'unsupported';
  what: string;
}

export type Action =
  | ActivityAction
  | SubOrchestrationAction
  | TimerAction
  | ExternalEventAction
  | CompoundAction
  | ContinueAsNewAction
  | UnsupportedAction;

/** An orchestrator's report. `error` is set when the generator threw. */
export interface OrchestratorState {
  isDone: boolean;
  actions: Action[];
  /** JSON text of the return value. */
  output: string;
  /** JSON text; undefined when the orchestrator set none. */
  customStatus?: string;
  error?: string;
  failureDetails?: unknown;
}

const unsupportedActions: Record<number, string> = {
  7: 'context.df.callEntity',
  8: 'context.df.callHttp',
  9: 'context.df.signalEntity',
  10: 'a scheduled entity signal',
  13: 'context.df.lock',
  14: 'releasing an entity lock',
};

/** An orchestrator that throws reports its state behind this mark, in the error's message. */
const outOfProcessMark = '\n\n$OutOfProcData$:';

/** The state inside the message of a thrown error; undefined when the app threw before the SDK could report. */
export function findStateInErrorMessage(message: string): string | undefined {
  const at = message.indexOf(outOfProcessMark);
  return at < 0 ? undefined : message.slice(at + outOfProcessMark.length);
}

/** @throws Error when the text is not a report of durable-functions 2.x or 3.x. */
export function parseOrchestratorState(json: string): OrchestratorState {
  const raw: unknown = JSON.parse(json);
  if (!isRecord(raw) || !Array.isArray(raw['actions'])) {
    throw new Error(
      `the orchestrator returned ${json.slice(0, 80)}, which has no list of actions; is it registered through durable-functions?`,
    );
  }
  const lists = raw['actions'] as unknown[];
  const list = Array.isArray(lists[0]) ? (lists[0] as unknown[]) : [];
  const state: OrchestratorState = {
    isDone: raw['isDone'] === true,
    actions: list.map(parseAction),
    output: JSON.stringify(raw['output'] ?? null),
  };
  if (raw['customStatus'] !== undefined) state.customStatus = JSON.stringify(raw['customStatus']);
  if (typeof raw['error'] === 'string' && raw['error'] !== '') state.error = raw['error'];
  if (raw['failureDetails'] !== undefined) state.failureDetails = raw['failureDetails'];
  return state;
}

function parseAction(raw: unknown): Action {
  if (!isRecord(raw)) throw new Error(`an action is not an object: ${JSON.stringify(raw)}`);
  const type = raw['actionType'];
  switch (type) {
    case 0:
    case 1:
      return {
        kind: 'activity',
        functionName: text(raw, 'functionName'),
        input: raw['input'],
        ...parseRetry(raw),
      };
    case 2:
    case 3:
      return parseSubOrchestration(raw);
    case 4:
      return { kind: 'continueAsNew', input: continuationInput(raw['input']) };
    case 5:
      return { kind: 'timer', fireAt: timestamp(raw, 'fireAt'), isCanceled: raw['isCanceled'] === true };
    case 6:
      return { kind: 'externalEvent', eventName: text(raw, 'externalEventName') };
    case 11:
    case 12:
      return {
        kind: type === 11 ? 'any' : 'all',
        children: (raw['compoundActions'] as unknown[]).map(parseAction),
      };
    default:
      return { kind: 'unsupported', what: unsupportedActions[Number(type)] ?? `action type ${String(type)}` };
  }
}

function parseSubOrchestration(raw: Record<string, unknown>): SubOrchestrationAction {
  const { instanceId, version } = raw;
  return {
    kind: 'subOrchestration',
    functionName: text(raw, 'functionName'),
    input: raw['input'],
    ...(typeof instanceId === 'string' && instanceId !== '' ? { instanceId } : {}),
    ...(typeof version === 'string' ? { version } : {}),
    ...parseRetry(raw),
  };
}

/** The SDK encodes a string input as JSON already and leaves every other value alone. */
function continuationInput(input: unknown): string | null {
  if (input === undefined) return null;
  return typeof input === 'string' ? input : JSON.stringify(input);
}

function parseRetry(raw: Record<string, unknown>): { retry?: ActionRetryOptions } {
  const options = raw['retryOptions'];
  return isRecord(options) ? { retry: options as unknown as ActionRetryOptions } : {};
}

function timestamp(raw: Record<string, unknown>, field: string): string {
  const value = text(raw, field);
  if (Number.isNaN(Date.parse(value))) throw new Error(`${field} of an action is no date: ${value}`);
  return value;
}

function text(raw: Record<string, unknown>, field: string): string {
  const value = raw[field];
  if (typeof value !== 'string')
    throw new Error(`an action has no ${field}: ${JSON.stringify(raw).slice(0, 200)}`);
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
