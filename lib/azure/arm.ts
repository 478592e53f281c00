// A thin client of Azure Resource Manager: resources by id, long-running operations, retries. Every request may be sent
// again: PUT and DELETE name their resource, so twice is as good as once; a POST is sent again only when it was refused.
import { LifeboatError } from '../errors.ts';
import { armError, isPassing, redact, type ArmErrorBody } from './armErrors.ts';

/** Gives tokens for Resource Manager; caches them itself. */
export interface TokenSource {
  getToken(): Promise<string>;
}

export interface ArmSettings {
  /** For example https://management.azure.com, without a slash at its end. */
  endpoint: string;
  tokens: TokenSource;
  fetch?: typeof fetch;
  sleep?: (milliseconds: number) => Promise<void>;
  /** Attempts of one request in all; default 5. */
  maxTries?: number;
  /** How long an operation is waited for before its caller is told that it still runs; default 20 s. */
  waitMs?: number;
}

/** What every resource has; `properties` is the type's own. */
export interface ArmResource {
  id: string;
  name: string;
  type: string;
  etag?: string;
  tags?: Record<string, string>;
  properties?: Record<string, unknown> & { provisioningState?: string };
}

/** `running`: look at the resource later. */
export type ArmOutcome<T> =
  { state: 'done'; body: T | undefined } | { state: 'running'; retryAfterSeconds: number };

export interface ArmClient {
  /** The resource, or undefined when there is none. */
  find(id: string, apiVersion: string): Promise<ArmResource | undefined>;
  /** All pages. `path` may have a query of its own. */
  list(path: string, apiVersion: string): AsyncIterable<ArmResource>;
  /** Creates or replaces. With `onlyNew`, an existing resource is `TargetNameTaken` where the type knows the condition. */
  put(
    id: string,
    apiVersion: string,
    body: object,
    options?: { onlyNew?: boolean },
  ): Promise<ArmOutcome<ArmResource>>;
  /** A resource that is gone: done. */
  delete(id: string, apiVersion: string): Promise<ArmOutcome<never>>;
  /** Sent again only after a refusal: when no answer came, whoever asks again must expect that it was carried out. */
  post<T>(path: string, apiVersion: string, body?: object): Promise<ArmOutcome<T>>;
}

interface ArmRequest {
  method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Absolute, or a path of the endpoint. */
  url: string;
  body?: object;
  headers?: Record<string, string>;
}

interface ArmAnswer {
  status: number;
  body: unknown;
  header(name: string): string | undefined;
}

const defaultRetryMs = 1_000;
const longestRetryMs = 60_000;
const defaultPollSeconds = 5;

export function armClient(settings: ArmSettings): ArmClient {
  const send = sender(settings);
  const url = (path: string, apiVersion: string): string =>
    `${settings.endpoint}${path}${path.includes('?') ? '&' : '?'}api-version=${apiVersion}`;
  return {
    async find(id, apiVersion) {
      const answer = await send({ method: 'GET', url: url(id, apiVersion) }, [404]);
      return answer.status === 404 ? undefined : (answer.body as ArmResource);
    },
    async *list(path, apiVersion) {
      let next: string | undefined = url(path, apiVersion);
      while (next !== undefined) {
        const { body } = await send({ method: 'GET', url: next });
        const page = body as { value?: ArmResource[]; nextLink?: string | null };
        yield* page.value ?? [];
        next = page.nextLink ? sameEndpoint(settings, page.nextLink) : undefined;
      }
    },
    async put(id, apiVersion, body, { onlyNew = false } = {}) {
      const headers = onlyNew ? { 'if-none-match': '*' } : {};
      const request = { method: 'PUT', url: url(id, apiVersion), body, headers } as const;
      return outcomeOf(settings, send, `create ${id}`, await send(request));
    },
    async delete(id, apiVersion) {
      const answer = await send({ method: 'DELETE', url: url(id, apiVersion) }, [404]);
      if (answer.status === 404) return { state: 'done', body: undefined };
      return outcomeOf(settings, send, `delete ${id}`, answer);
    },
    async post(path, apiVersion, body) {
      const request = { method: 'POST', url: url(path, apiVersion), ...(body && { body }) } as const;
      return outcomeOf(settings, send, `call ${path}`, await send(request));
    },
  };
}

/** The token goes nowhere but to the endpoint, whatever an answer's URLs say. Throws `ComputeFailed` for another one. */
function sameEndpoint({ endpoint }: ArmSettings, url: string): string {
  if (new URL(url).origin === new URL(endpoint).origin) return url;
  throw new LifeboatError('ComputeFailed', `Resource Manager named a URL of another host: ${redact(url)}`);
}

type Send = (request: ArmRequest, accepted?: readonly number[]) => Promise<ArmAnswer>;

/** Sends with a token, again while the refusal passes. Throws for an answer that is neither good nor accepted. */
function sender({ tokens, fetch: doFetch = fetch, maxTries = 5, ...settings }: ArmSettings): Send {
  const sleep = settings.sleep ?? defaultSleep;
  return async (request, accepted = []) => {
    const what = `${request.method} ${redact(request.url)}`;
    for (let attempt = 1; ; attempt++) {
      const answer = await attemptOnce(doFetch, await tokens.getToken(), request);
      if (typeof answer !== 'string' && (isGood(answer) || accepted.includes(answer.status))) return answer;
      const { error, mayRepeat } = judge(what, request, answer);
      if (!mayRepeat || attempt >= maxTries) throw error;
      const askedMs = typeof answer === 'string' ? undefined : retryAfterMs(answer);
      await sleep(Math.min(askedMs ?? backoffMs(attempt), longestRetryMs));
    }
  };
}

const isGood = ({ status }: ArmAnswer): boolean => status >= 200 && status < 300;

/** What a refusal, or the absence of an answer, means. */
function judge(
  what: string,
  { method }: ArmRequest,
  answer: ArmAnswer | string,
): { error: LifeboatError; mayRepeat: boolean } {
  if (typeof answer === 'string') {
    const error = new LifeboatError('ComputeUnavailable', `${what}: ${answer}`);
    return { error, mayRepeat: method !== 'POST' };
  }
  const body = (answer.body ?? {}) as ArmErrorBody;
  const mayRepeat = isPassing(answer.status, body.error?.code ?? '');
  return { error: armError(what, answer.status, body), mayRepeat };
}

/** The answer, or why none came. */
async function attemptOnce(
  doFetch: typeof fetch,
  token: string,
  request: ArmRequest,
): Promise<ArmAnswer | string> {
  try {
    return await exchange(doFetch, token, request);
  } catch (error) {
    return redact(error instanceof Error ? error.message : String(error));
  }
}

async function exchange(
  doFetch: typeof fetch,
  token: string,
  { method, url, body, headers }: ArmRequest,
): Promise<ArmAnswer> {
  const response = await doFetch(url, {
    method,
    redirect: 'error',
    headers: {
      ...headers,
      authorization: `Bearer ${token}`,
      accept: 'application/json',
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    body: text === '' ? undefined : parseJson(text),
    header: (name) => response.headers.get(name) ?? undefined,
  };
}

/** Proxies answer with pages; what they say is the message. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return { error: { message: text.slice(0, 200) } };
  }
}

const defaultSleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

const backoffMs = (attempt: number): number => defaultRetryMs * 2 ** (attempt - 1);

function retryAfterMs(answer: ArmAnswer): number | undefined {
  const seconds = Number(answer.header('retry-after') ?? NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}

/** Waits for the operation that an answer began, as long as the settings allow. Throws when it failed. */
async function outcomeOf<T>(
  settings: ArmSettings,
  send: Send,
  what: string,
  started: ArmAnswer,
): Promise<ArmOutcome<T>> {
  const statusUrl = started.header('azure-asyncoperation');
  const resultUrl = started.header('location');
  const pollUrl = statusUrl ?? (started.status === 202 ? resultUrl : undefined);
  if (pollUrl === undefined) return { state: 'done', body: started.body as T | undefined };
  const sleep = settings.sleep ?? defaultSleep;
  let waitedMs = 0;
  let answer = started;
  for (;;) {
    const pauseMs = retryAfterMs(answer) ?? defaultPollSeconds * 1000;
    if (waitedMs + pauseMs > (settings.waitMs ?? 20_000))
      return { state: 'running', retryAfterSeconds: Math.ceil(pauseMs / 1000) };
    await sleep(pauseMs);
    waitedMs += pauseMs;
    answer = await send({ method: 'GET', url: sameEndpoint(settings, pollUrl) });
    const ended = statusUrl === undefined ? endOfLocation<T>(answer) : endOfStatus<T>(what, answer);
    if (ended) return ended;
  }
}

type Ended<T> = { state: 'done'; body: T | undefined } | undefined;

/** A Location answers 202 until the operation is over, then with its result. */
function endOfLocation<T>({ status, body }: ArmAnswer): Ended<T> {
  return status === 202 ? undefined : { state: 'done', body: body as T | undefined };
}

/** An Azure-AsyncOperation says in its body how the operation goes. Throws when it failed. */
function endOfStatus<T>(what: string, answer: ArmAnswer): Ended<T> {
  const body = (answer.body ?? {}) as ArmErrorBody & { status?: string; properties?: { output?: T } };
  if (body.status === 'Succeeded') return { state: 'done', body: body.properties?.output };
  if (body.status === 'Failed' || body.status === 'Canceled') throw armError(what, 0, body);
  return undefined;
}
