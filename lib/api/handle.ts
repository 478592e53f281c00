// One request in, one answer out: who calls, what, may they, did they already; then the handler. Never throws.
import { authenticate } from '../auth/authenticate.ts';
import { insertAudit } from '../auth/audit.ts';
import type { Caller } from '../auth/caller.ts';
import { LifeboatError, isLifeboatError } from '../errors.ts';
import { requireApiVersion, vaultPath } from './arm.ts';
import {
  RateExceeded,
  assertNotLockedOut,
  authorize,
  callerKey,
  countStranger,
  takeShare,
} from './authorization.ts';
import { checkBody } from './body.ts';
import { bodyLimitBytes, parseJson } from './bodyLimits.ts';
import { errorResponse } from './errorBody.ts';
import type { ApiContext, ApiRequest, ApiResponse, RoutedRequest } from './http.ts';
import { unfinishedResult } from './jobs.ts';
import type { Operation } from './operation.ts';
import { serviceRoutes, vaultRoutes } from './operations.ts';
import { answerOnce } from './repetition.ts';
import { findRoute } from './router.ts';
import type { Match } from './router.ts';

const operationResult = /^(.*)\/operationresults\/([^/]+)$/i;
const pathLimitChars = 2048;
const queryLimitChars = 8192;

/** What is known about a request so far: for the audit, whatever comes of it. */
interface Trace {
  requestId: string;
  clientRequestId: string | undefined;
  caller: Caller;
  operation: Operation | undefined;
  isRepetition: boolean;
}

function notFound(path: string): LifeboatError {
  return new LifeboatError('ResourceNotFound', `There is nothing at ${path.slice(0, 300)}.`, {
    target: path.slice(0, 300),
  });
}

/** The part of the path below our vault, or undefined when the path is not below any vault. */
function belowVault({ settings }: ApiContext, path: string): string | undefined {
  const vault =
    /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.RecoveryServices\/vaults\/[^/]+/i.exec(
      path,
    )?.[0];
  if (vault === undefined) return undefined;
  const ours = vaultPath(settings.vault);
  if (vault.toLowerCase() !== ours.toLowerCase()) {
    throw new LifeboatError('ResourceNotFound', `This service has the vault ${ours}, not ${vault}.`, {
      target: vault,
    });
  }
  return path.slice(vault.length);
}

function getMatch(context: ApiContext, path: string): Match {
  const inVault = belowVault(context, path);
  const match = inVault === undefined ? findRoute(serviceRoutes, path) : findRoute(vaultRoutes, inVault);
  if (!match) throw notFound(path);
  return match;
}

function getOperation({ verbs }: Match, method: string): Operation {
  const found = verbs.get(method);
  if (found) return found;
  const known = [...verbs.keys()].join(', ');
  throw new LifeboatError('MethodNotAllowed', `${method} is not supported here; use ${known}.`);
}

function assertUrlLimits({ path, query }: ApiRequest): void {
  if (path.length <= pathLimitChars && query.toString().length <= queryLimitChars) return;
  const limits = `${pathLimitChars} characters of path and ${queryLimitChars} of query`;
  throw new LifeboatError('RequestTooLarge', `The URL is too long; the limits are ${limits}.`, {
    target: 'url',
  });
}

async function identify(context: ApiContext, request: ApiRequest): Promise<Caller> {
  const { address, headers } = request;
  assertNotLockedOut(context, address);
  const now = context.replication.clock.now();
  try {
    const caller = await authenticate(context.credentials, headers.get('authorization'), now);
    if (caller.kind === 'anonymous') countStranger(context, address);
    else takeShare(context, caller);
    return caller;
  } catch (error) {
    if (isLifeboatError(error, 'Unauthorized', 'Forbidden')) countStranger(context, address);
    throw error;
  }
}

/** The result of a finished operation is its resource; 204 when that was removed. */
async function operationResultOf(
  context: ApiContext,
  request: ApiRequest,
  [path, job]: [string, string],
  trace: Trace,
): Promise<ApiResponse> {
  const unfinished = await unfinishedResult(context, job);
  if (unfinished) return unfinished;
  try {
    return await dispatch(context, { ...request, path }, trace);
  } catch (error) {
    if (isLifeboatError(error, 'ResourceNotFound')) return { status: 204 };
    throw error;
  }
}

async function callHandler(
  context: ApiContext,
  request: ApiRequest,
  { params }: Match,
  operation: Operation,
  trace: Trace,
): Promise<ApiResponse> {
  const { caller, clientRequestId } = trace;
  const { path, query, headers, method } = request;
  const text = method === 'GET' || operation.isBinary ? '' : await request.text(bodyLimitBytes);
  const value = parseJson(text);
  const apiVersion = requireApiVersion(query);
  const work = async (): Promise<ApiResponse> => {
    const routed: RoutedRequest = {
      ...{ params, query, path, apiVersion, caller, ifMatch: headers.get('if-match') },
      json: async () => value,
      bytes: () => request.bytes(bodyLimitBytes),
      body: operation.body && checkBody(value, operation.body),
    };
    return operation.handler(context, routed);
  };
  const isRemembered = method !== 'GET' && !operation.isSecret && !operation.isBinary;
  if (!isRemembered || clientRequestId === undefined || caller.kind === 'anonymous') return work();
  const about = { clientRequestId, caller: callerKey(caller), method, path, query: query.toString() };
  const now = context.replication.clock.now();
  const { response, isRepetition } = await answerOnce(context.access, { ...about, body: text }, now, work);
  trace.isRepetition = isRepetition;
  return response;
}

async function dispatch(context: ApiContext, request: ApiRequest, trace: Trace): Promise<ApiResponse> {
  const match = getMatch(context, request.path);
  const operation = getOperation(match, request.method);
  trace.operation = operation;
  authorize(operation, trace.caller);
  return callHandler(context, request, match, operation, trace);
}

async function answer(context: ApiContext, request: ApiRequest, trace: Trace): Promise<ApiResponse> {
  assertUrlLimits(request);
  trace.caller = await identify(context, request);
  const [, path, job] = operationResult.exec(request.path) ?? [];
  try {
    if (request.method === 'GET' && path !== undefined && job !== undefined) {
      authorize({ access: 'Reader', id: 'OperationResults_Get' }, trace.caller);
      return await operationResultOf(context, request, [path, job], trace);
    }
    return await dispatch(context, request, trace);
  } catch (error) {
    // Whoever has not said who he is learns nothing about what there is.
    const isAboutRoute = isLifeboatError(error, 'ResourceNotFound', 'MethodNotAllowed');
    if (isAboutRoute && trace.caller.kind === 'anonymous' && trace.operation === undefined)
      throw new LifeboatError('Unauthorized', 'This request needs a valid key or token.');
    throw error;
  }
}

function describe(caller: Caller) {
  if (caller.kind === 'anonymous') return { callerId: null, callerName: null, role: null };
  const role = caller.kind === 'principal' ? caller.role : null;
  return { callerId: caller.id, callerName: caller.name, role };
}

async function audit(
  context: ApiContext,
  { method, path, address }: ApiRequest,
  trace: Trace,
  response: ApiResponse,
): Promise<void> {
  // A flood that is being refused must not fill the table.
  if (method === 'GET' || response.status === 429) return;
  const { code = null } = (response.body as { error?: { code?: string } } | undefined)?.error ?? {};
  try {
    await insertAudit(context.access, {
      ...{ at: context.replication.clock.now().toISOString(), callerKind: trace.caller.kind },
      ...describe(trace.caller),
      ...{ address, method, path: path.slice(0, pathLimitChars), operation: trace.operation?.id ?? null },
      ...{ status: response.status, error: response.status >= 400 ? code : null },
      ...{ requestId: trace.requestId, clientRequestId: trace.clientRequestId ?? null },
      isRepetition: trace.isRepetition,
    });
  } catch (error) {
    // What was done is done; the log is the second place that says so.
    const text = error instanceof Error ? error.message : String(error);
    context.replication.log(
      `audit of ${trace.requestId} (${trace.caller.kind} ${method} ${path} ${response.status}) failed: ${text}`,
    );
  }
}

/** Echoed into headers and rows: only what can harm neither. */
const findClientRequestId = ({ headers }: ApiRequest): string | undefined =>
  /^[\w.-]{1,128}$/.exec(headers.get('x-ms-client-request-id') ?? '')?.[0];

/** Answers a request to anything but /health. */
export async function handleRequest(context: ApiContext, request: ApiRequest): Promise<ApiResponse> {
  const trace: Trace = {
    ...{ requestId: context.replication.newId(), clientRequestId: findClientRequestId(request) },
    ...{ caller: { kind: 'anonymous' }, operation: undefined, isRepetition: false },
  };
  let response: ApiResponse;
  try {
    response = await answer(context, request, trace);
  } catch (error) {
    if (!(error instanceof LifeboatError)) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      context.replication.log(`request ${trace.requestId} failed: ${text}`);
    }
    const wait = error instanceof RateExceeded ? error.waitSeconds : undefined;
    response = errorResponse(error, trace.requestId, wait);
  }
  const { caller = trace.caller, ...sent } = response;
  await audit(context, request, { ...trace, caller }, response);
  return {
    ...sent,
    headers: {
      ...{
        'x-ms-request-id': trace.requestId,
        'x-content-type-options': 'nosniff',
        'cache-control': 'no-store',
      },
      ...(trace.clientRequestId === undefined ? {} : { 'x-ms-client-request-id': trace.clientRequestId }),
      ...response.headers,
    },
  };
}
