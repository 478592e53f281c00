// HTTP to the service: the key, retries, and errors in the service's own words. Every request of the API may be sent
// twice, so one whose answer was lost is simply sent again.
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { AgentError, ServiceError } from './agentError.ts';

/** Where the service is, and who asks. */
export interface ServiceSettings {
  /** Base URL without a path. */
  url: string;
  /** Bearer key. */
  key: string;
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
    method: 'GET' | 'PUT' | 'POST',
    path: string,
    schema: z.ZodType<T>,
    body?: unknown,
  ): Promise<ServiceAnswer<T>> {
    const { status, headers, text } = await this.#sendAgain(method, path, body);
    const invalid = (what: string): AgentError => {
      const message = `${this.baseUrl} answered ${method} ${path} with HTTP ${status} and ${what}.`;
      const action = 'Check that the address is that of the service and its version fits this command.';
      return new AgentError('ServiceAnswerInvalid', message, action);
    };
    let content: unknown;
    try {
      content = text === '' ? undefined : JSON.parse(text);
    } catch {
      throw invalid('something that is not JSON');
    }
    if (status >= 400) {
      const parsed = errorBody.safeParse(content);
      if (!parsed.success) throw invalid('an error that is not of this service');
      const { code, message, target, details } = parsed.data.error;
      const recommendedAction = details?.[0]?.recommendedAction ?? '';
      throw new ServiceError({ code, status, message, target, recommendedAction });
    }
    const parsed = schema.safeParse(content);
    if (!parsed.success)
      throw invalid(`an unknown body: ${z.prettifyError(parsed.error).split('\n')[0] ?? ''}`);
    return { status, headers, body: parsed.data };
  }

  async #sendAgain(method: string, path: string, body: unknown) {
    const { maxTries = 5, retryDelayMs = 500, signal } = this.#settings;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#send(method, path, body).catch((error: unknown) => {
        signal?.throwIfAborted();
        return { problem: causeText(error), cause: error };
      });
      const isBusy = !('problem' in outcome) && (outcome.status >= 500 || outcome.status === 429);
      if (!('problem' in outcome) && (!isBusy || attempt >= maxTries)) return outcome;
      if ('problem' in outcome && attempt >= maxTries) {
        const message = `${this.baseUrl} does not answer: ${outcome.problem}.`;
        const action = /CERT|VERIFY/.test(outcome.problem)
          ? 'Set NODE_EXTRA_CA_CERTS to the file of the authority that made its certificate; for a local service "caCertificate" of local.json names it.'
          : 'Check that the service runs (npm start), its address, and the network.';
        throw new AgentError('ServiceUnreachable', message, action, { cause: outcome.cause });
      }
      await sleep(retryDelayMs * 2 ** (attempt - 1), undefined, signal ? { signal } : {});
    }
  }

  async #send(method: string, path: string, body: unknown) {
    const timeout = AbortSignal.timeout(attemptTimeoutMs);
    const { key, signal } = this.#settings;
    const response = await fetch(this.baseUrl + path, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: 'error',
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }
}
