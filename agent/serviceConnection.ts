// HTTP to the service: the key, retries, and errors in the service's own words. Every request of the API may be sent
// twice, so one whose answer was lost is simply sent again.
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { AgentError, ServiceError } from './agentError.ts';

/** Where the service is, and who asks. */
export interface ServiceSettings {
  /** Base URL without a path. */
  url: string;
  /** Bearer key; or a function that is asked before every request, and with `isRefused` when the last one was refused. */
  key: string | ((about: { isRefused: boolean }) => Promise<string>);
  signal?: AbortSignal | undefined;
  /** Attempts in all. Default 5. */
  maxTries?: number;
  /** Pause before the second attempt, doubled before each further one. Default 500 ms. */
  retryDelayMs?: number;
}

export interface ServiceAnswer<T> {
  status: number;
  headers: Headers;
  body: T;
}

type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';

interface RequestBody {
  json?: unknown;
  bytes?: Uint8Array;
}

interface SentRequest {
  method: string;
  path: string;
  body: RequestBody;
  isRefused: boolean;
}

interface RawAnswer {
  status: number;
  headers: Headers;
  bytes: Uint8Array;
}

const attemptTimeoutMs = 60_000;

const errorBody = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    target: z.string().optional(),
    details: z.array(z.looseObject({ recommendedAction: z.string().optional() })).optional(),
  }),
});

function causeText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code;
  return cause instanceof Error ? cause.message : error.message;
}

/** One service. Holds no connection; may be used concurrently. */
export class ServiceConnection {
  readonly baseUrl: string;
  readonly #settings: ServiceSettings;

  /** Throws AgentError `ServiceUnreachable` when the URL is none. */
  constructor(settings: ServiceSettings) {
    if (!/^https?:\/\//.test(settings.url) || !URL.canParse(settings.url)) {
      const message = `"${settings.url.slice(0, 200)}" is no http(s) URL.`;
      throw new AgentError(
        'ServiceUnreachable',
        message,
        'Give the address of the service, e.g. http://127.0.0.1:7071.',
      );
    }
    this.#settings = settings;
    this.baseUrl = settings.url.replace(/\/+$/, '');
  }

  /**
   * Sends a request until it is answered and checks the answer. Throws ServiceError for an error that the service
   * answered, AgentError `ServiceUnreachable` after the last attempt and `ServiceAnswerInvalid` when somebody else answered.
   */
  async request<T>(
    method: Method,
    path: string,
    schema: z.ZodType<T>,
    body?: unknown,
  ): Promise<ServiceAnswer<T>> {
    const answer = await this.#sendAgain(method, path, body === undefined ? {} : { json: body });
    const content = this.#contentOf(answer, method, path);
    const parsed = schema.safeParse(content);
    if (!parsed.success) {
      const why = `an unknown body: ${z.prettifyError(parsed.error).split('\n')[0] ?? ''}`;
      throw this.#invalid(answer, `${method} ${path}`, why);
    }
    return { status: answer.status, headers: answer.headers, body: parsed.data };
  }

  /** The same for answers, and bodies, that are bytes. */
  async requestBytes(
    method: Method,
    path: string,
    body: RequestBody = {},
  ): Promise<{ status: number; bytes: Uint8Array }> {
    const answer = await this.#sendAgain(method, path, body);
    if (answer.status >= 400) this.#contentOf(answer, method, path);
    return answer;
  }

  #invalid({ status }: RawAnswer, request: string, what: string): AgentError {
    const message = `${this.baseUrl} answered ${request} with HTTP ${status} and ${what}.`;
    const action = 'Check that the address is that of the service and its version fits this command.';
    return new AgentError('ServiceAnswerInvalid', message, action);
  }

  /** The JSON of an answer; throws what an error answer says. */
  #contentOf(answer: RawAnswer, method: string, path: string): unknown {
    const invalid = (what: string): AgentError => this.#invalid(answer, `${method} ${path}`, what);
    const { status, bytes } = answer;
    let content: unknown;
    try {
      content = bytes.length === 0 ? undefined : JSON.parse(Buffer.from(bytes).toString('utf8'));
    } catch {
      throw invalid('something that is not JSON');
    }
    if (status < 400) return content;
    const parsed = errorBody.safeParse(content);
    if (!parsed.success) throw invalid('an error that is not of this service');
    const { code, message, target, details } = parsed.data.error;
    const recommendedAction = details?.[0]?.recommendedAction ?? '';
    throw new ServiceError({ code, status, message, target, recommendedAction });
  }

  #unreachable({ problem, cause }: { problem: string; cause: unknown }): AgentError {
    const message = `${this.baseUrl} does not answer: ${problem}.`;
    const action = /CERT|VERIFY/.test(problem)
      ? 'Set NODE_EXTRA_CA_CERTS to the file of the authority that made its certificate; for a local service "caCertificate" of local.json names it.'
      : 'Check that the service runs (npm start), its address, and the network.';
    return new AgentError('ServiceUnreachable', message, action, { cause: cause });
  }

  async #sendAgain(method: string, path: string, body: RequestBody): Promise<RawAnswer> {
    const { maxTries = 5, retryDelayMs = 500, signal, key } = this.#settings;
    let isRefused = false;
    for (let attempt = 1; ; attempt++) {
      const outcome: RawAnswer | { problem: string; cause: unknown } = await this.#send({
        method,
        path,
        body,
        isRefused,
      }).catch((error: unknown) => {
        signal?.throwIfAborted();
        if (error instanceof AgentError || error instanceof ServiceError) throw error;
        return { problem: causeText(error), cause: error };
      });
      if ('problem' in outcome) {
        if (attempt >= maxTries) {
          throw this.#unreachable(outcome);
        }
      } else {
        // A token that ended meanwhile is renewed once.
        const isStale: boolean = outcome.status === 401 && typeof key === 'function' && !isRefused;
        const isBusy = outcome.status >= 500 || outcome.status === 429;
        if (!isStale && (!isBusy || attempt >= maxTries)) return outcome;
        isRefused = isStale;
        if (isStale) continue;
      }
      await sleep(retryDelayMs * 2 ** (attempt - 1), undefined, signal ? { signal } : {});
    }
  }

  async #send({ method, path, body, isRefused }: SentRequest): Promise<RawAnswer> {
    const timeout = AbortSignal.timeout(attemptTimeoutMs);
    const { key, signal } = this.#settings;
    const token = typeof key === 'function' ? await key({ isRefused }) : key;
    const content = contentOf(body);
    const response = await fetch(this.baseUrl + path, {
      method,
      headers: {
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
        ...(content === undefined ? {} : { 'content-type': content.type }),
      },
      ...(content === undefined ? {} : { body: content.data }),
      redirect: 'error',
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    return { status: response.status, headers: response.headers, bytes };
  }
}

function contentOf({
  json,
  bytes,
}: RequestBody): { type: string; data: string | Uint8Array<ArrayBuffer> } | undefined {
  if (bytes !== undefined) return { type: 'application/octet-stream', data: new Uint8Array(bytes) };
  return json === undefined ? undefined : { type: 'application/json', data: JSON.stringify(json) };
}
