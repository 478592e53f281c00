// One request in, one answer out: key check, routing, errors as ARM bodies. Never throws.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Caller } from '../auth/caller.ts';
import { LifeboatError, errorCatalogue } from '../errors.ts';
import { requireApiVersion, vaultPath } from './arm.ts';
import type { ApiContext, ApiRequest, ApiResponse, RoutedRequest } from './http.ts';
import { unfinishedResult } from './jobs.ts';
import { findRoute } from './router.ts';
import type { Match } from './router.ts';
import { agentRoutes, vaultRoutes } from './routes.ts';

const operationResult = /^(.*)\/operationresults\/([^/]+)$/i;

const adminCaller: Caller = { kind: 'principal', id: 'adminKey', name: 'administrator', role: 'Owner' };

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Compares digests, so that the time taken says nothing about the key. */
function requireKey({ settings }: ApiContext, request: ApiRequest): void {
  const [scheme = '', key = ''] = (request.headers.get('authorization') ?? '').split(' ', 2);
  const isRight =
    scheme.toLowerCase() === 'bearer' && timingSafeEqual(digest(key), digest(settings.adminKey));
  if (!isRight) throw new LifeboatError('Unauthorized', 'This request needs a valid key.');
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
  const match = inVault === undefined ? findRoute(agentRoutes, path) : findRoute(vaultRoutes, inVault);
  if (!match) throw notFound(path);
  return match;
}

async function parseJson(request: ApiRequest): Promise<unknown> {
  const text = await request.text();
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new LifeboatError('InvalidRequest', 'The request body is not JSON.', { cause, target: 'body' });
  }
}

async function dispatch(context: ApiContext, request: ApiRequest): Promise<ApiResponse> {
  const result = operationResult.exec(request.path);
  if (result && request.method === 'GET') {
    const unfinished = await unfinishedResult(context, result[2] ?? '');
    if (unfinished) return unfinished;
    return dispatch(context, { ...request, path: result[1] ?? '' });
  }
  const { route, params } = getMatch(context, request.path);
  const verbs: Partial<Record<string, (typeof route.verbs)['GET']>> = route.verbs;
  const handler = verbs[request.method];
  if (!handler) {
    const known = Object.keys(route.verbs).join(', ');
    throw new LifeboatError('MethodNotAllowed', `${request.method} is not supported here; use ${known}.`);
  }
  const routed: RoutedRequest = {
    params,
    query: request.query,
    json: () => parseJson(request),
    bytes: () => request.bytes(),
    apiVersion: requireApiVersion(request.query),
    caller: adminCaller,
  };
  return handler(context, routed);
}

/** An error as ARM clients read it. What is not ours is not shown: the log has it, under the request's id. */
function errorResponse(error: unknown, requestId: string): ApiResponse {
  const ours =
    error instanceof LifeboatError
      ? error
      : new LifeboatError(
          'InternalError',
          `Something unexpected happened; the log has it under request id ${requestId}.`,
        );
  const { httpStatus, possibleCauses, recommendedAction } = errorCatalogue[ours.code];
  const detail = {
    code: ours.code,
    message: ours.message,
    possibleCauses,
    recommendedAction,
    clientRequestId: requestId,
  };
  return {
    status: httpStatus,
    ...(httpStatus === 401 ? { headers: { 'www-authenticate': 'Bearer' } } : {}),
    body: {
      error: {
        code: ours.code,
        message: ours.message,
        ...(ours.target ? { target: ours.target } : {}),
        details: [detail],
      },
    },
  };
}

/** Answers a request to anything but /health. */
export async function handleRequest(context: ApiContext, request: ApiRequest): Promise<ApiResponse> {
  const requestId = context.replication.newId();
  let response: ApiResponse;
  try {
    requireKey(context, request);
    response = await dispatch(context, request);
  } catch (error) {
    if (!(error instanceof LifeboatError)) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      context.replication.log(`request ${requestId} failed: ${text}`);
    }
    response = errorResponse(error, requestId);
  }
  return { ...response, headers: { 'x-ms-request-id': requestId, ...response.headers } };
}
