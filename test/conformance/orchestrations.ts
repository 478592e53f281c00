// A client of the app's orchestrations that knows only HTTP: the app's own start function, and the management links it
// answers with. Links carry the keys a deployed host wants, so links of other instances are made from a known one.
import { setTimeout as sleep } from 'node:timers/promises';

export interface Status {
  name: string;
  instanceId: string;
  runtimeStatus: string;
  input: unknown;
  output: unknown;
  customStatus: unknown;
  createdTime: string;
  lastUpdatedTime: string;
  historyEvents?: Record<string, unknown>[];
}

type LinkName =
  | 'statusQueryGetUri'
  | 'sendEventPostUri'
  | 'terminatePostUri'
  | 'suspendPostUri'
  | 'resumePostUri'
  | 'restartPostUri'
  | 'purgeHistoryDeleteUri';

export type Links = Record<LinkName | 'id', string>;

const finalStatuses = ['Completed', 'Failed', 'Terminated', 'Canceled'];
const longestPollMs = 1000;

export interface OrchestrationsOptions {
  /** Base URL now; a host may come back under another one. */
  url(): string;
  /** For `finish` and `until`. */
  patienceMs: number;
}

export class Orchestrations {
  readonly #options: OrchestrationsOptions;
  #knownLinks: Links | undefined;

  constructor(options: OrchestrationsOptions) {
    this.#options = options;
  }

  /** Asks the app to start an instance; any answer comes back, also a refusal. */
  async tryStart(name: string, input: unknown = {}, id?: string): Promise<Response> {
    const path = `/api/start/${name}${id === undefined ? '' : `/${id}`}`;
    const response = await post(this.#options.url() + path, input);
    if (response.status === 202) this.#knownLinks = (await response.clone().json()) as Links;
    return response;
  }

  /** Starts an instance and returns its id; a refusal is an error. */
  async start(name: string, input: unknown = {}, id?: string): Promise<string> {
    const response = await this.tryStart(name, input, id);
    if (response.status !== 202)
      throw new Error(`start of ${name}: ${response.status} ${await response.text()}`);
    return ((await response.json()) as Links).id;
  }

  /** A link for any instance, on the host's present address. Throws before the first start was answered. */
  link(name: LinkName, id: string): string {
    if (this.#knownLinks === undefined) throw new Error('No instance was started yet, so no link is known.');
    const url = new URL(this.#options.url());
    const link = new URL(this.#knownLinks[name].replace(this.#knownLinks.id, id));
    link.protocol = url.protocol;
    link.host = url.host;
    return link.href.replaceAll('%7B', '{').replaceAll('%7D', '}');
  }

  /** The status, or undefined for an instance that the host does not know. */
  async findStatus(id: string, query = ''): Promise<Status | undefined> {
    const response = await fetch(`${this.link('statusQueryGetUri', id)}&${query}`);
    if (response.status === 404) return undefined;
    if (!response.ok) throw new Error(`status of ${id}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Status;
  }

  async getStatus(id: string, query = ''): Promise<Status> {
    const status = await this.findStatus(id, query);
    if (status === undefined) throw new Error(`The host does not know the instance ${id}.`);
    return status;
  }

  /** Waits until the status is as wanted; fails with the last one when it does not come. */
  async until(id: string, isReached: (status: Status) => boolean): Promise<Status> {
    const deadline = Date.now() + this.#options.patienceMs;
    for (let pollMs = 15; ; pollMs = Math.min(pollMs * 1.3, longestPollMs)) {
      const status = await this.getStatus(id);
      if (isReached(status)) return status;
      if (Date.now() > deadline)
        throw new Error(`Waited in vain for ${String(isReached)}: ${JSON.stringify(status)}`);
      await sleep(pollMs);
    }
  }

  /** Waits until the instance has ended, in whatever way. */
  finish(id: string): Promise<Status> {
    return this.until(id, ({ runtimeStatus }) => finalStatuses.includes(runtimeStatus));
  }

  async run(name: string, input: unknown = {}): Promise<Status> {
    return this.finish(await this.start(name, input));
  }

  /** All instances that match a query, read page by page. */
  async list(query: string): Promise<{ ids: string[]; pageCount: number }> {
    const known = this.#knownLinks?.id ?? '';
    const url = this.link('statusQueryGetUri', known).replace(`/instances/${known}`, '/instances');
    const ids: string[] = [];
    let token: string | null = '';
    for (let pageCount = 1; ; pageCount++) {
      const headers: Record<string, string> = token === '' ? {} : { 'x-ms-continuation-token': token };
      const response = await fetch(`${url}&${query}`, { headers });
      if (!response.ok) throw new Error(`query ${query}: ${response.status} ${await response.text()}`);
      ids.push(...((await response.json()) as Status[]).map(({ instanceId }) => instanceId));
      token = response.headers.get('x-ms-continuation-token');
      if (token === null || token === '') return { ids, pageCount };
    }
  }

  /** Raises an event and returns the status code. */
  async raise(id: string, event: string, payload: unknown = null): Promise<number> {
    const response = await post(this.link('sendEventPostUri', id).replace('{eventName}', event), payload);
    await response.arrayBuffer();
    return response.status;
  }

  /** Terminates, suspends or resumes and returns the status code. */
  async control(id: string, verb: 'terminate' | 'suspend' | 'resume', reason = 'asked'): Promise<number> {
    const response = await post(
      this.link(`${verb}PostUri`, id).replace('{text}', encodeURIComponent(reason)),
    );
    await response.arrayBuffer();
    return response.status;
  }
}

function post(url: string, body?: unknown): Promise<Response> {
  const json =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  return fetch(url, { method: 'POST', ...json });
}
