// The management API as the commands use it: resources by name, lists over all pages, and jobs until they end.
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { AgentError } from '../../agent/agentError.ts';
import type { ServiceConnection } from '../../agent/serviceConnection.ts';
import type { Io } from '../io.ts';
import { connectionTo, findService, type ServiceAddress, type ServiceOptions } from './login.ts';

const apiVersion = '2024-04-01';

export const armResource = z.looseObject({
  id: z.string(),
  name: z.string(),
  properties: z.record(z.string(), z.unknown()).default({}),
});
export type ArmResource = z.infer<typeof armResource>;

const anyObject = z.record(z.string(), z.unknown());
const pageOf = z.object({ value: z.array(z.unknown()), nextLink: z.string().nullish() });

const operationStatus = z.looseObject({ percentComplete: z.number().nullable().catch(null) });
const withSteps = z.looseObject({ tasks: z.array(z.looseObject({ state: z.string() })).catch([]) });
const endedStates = new Set([
  'Succeeded',
  'CompletedWithInformation',
  'Failed',
  'Cancelled',
  'CompletedWithErrors',
]);

export const isEnded = ({ properties }: ArmResource): boolean => endedStates.has(String(properties['state']));

type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';

export interface AnsweredJob {
  jobId: string | undefined;
  body: unknown;
}

export class Management {
  readonly address: ServiceAddress;
  readonly connection: ServiceConnection;
  readonly #signal: AbortSignal;

  constructor(address: ServiceAddress, signal: AbortSignal) {
    this.address = address;
    this.connection = connectionTo(address, signal);
    this.#signal = signal;
  }

  static async connect(io: Io, options: ServiceOptions): Promise<Management> {
    return new Management(await findService(io, options), io.signal);
  }

  /** Path of what the segments name below the vault. */
  path(...segments: readonly string[]): string {
    return [this.address.vaultPath, ...segments.map(encodeURIComponent)].join('/');
  }

  async get(path: string): Promise<Record<string, unknown>> {
    return (await this.connection.request('GET', withVersion(path), anyObject)).body;
  }

  async getResource(path: string): Promise<ArmResource> {
    return armResource.parse(await this.get(path));
  }

  /** All pages. `limit` ends it early. */
  async list(path: string, limit = Number.POSITIVE_INFINITY): Promise<Record<string, unknown>[]> {
    const found: Record<string, unknown>[] = [];
    for (let next: string | undefined = withVersion(path); next !== undefined && found.length < limit;) {
      const { body }: { body: z.infer<typeof pageOf> } = await this.connection.request('GET', next, pageOf);
      found.push(...body.value.map((value) => anyObject.parse(value)));
      next = typeof body.nextLink === 'string' ? pathOfLink(body.nextLink) : undefined;
    }
    return found.slice(0, limit);
  }

  async listResources(path: string, limit?: number): Promise<ArmResource[]> {
    return (await this.list(path, limit)).map((each) => armResource.parse(each));
  }

  /** Sends a verb; `jobId` is that of the job which it began, if it did. */
  async send(method: Method, path: string, body?: unknown): Promise<AnsweredJob> {
    const answer = await this.connection.request(method, withVersion(path), z.unknown(), body);
    const status = answer.headers.get('azure-asyncoperation') ?? answer.headers.get('location');
    const jobId = status === null ? undefined : /\/replicationOperationStatus\/([^/?]+)/i.exec(status)?.[1];
    return { jobId, body: answer.body };
  }

  /** The job when it has ended, however it did; `onLook` sees it on the way, too. */
  async followJob(
    jobId: string,
    onLook: (job: ArmResource) => Promise<void> = () => Promise.resolve(),
  ): Promise<ArmResource> {
    for (let pauseMs = 300; ; pauseMs = Math.min(2 * pauseMs, 2000)) {
      const job = await this.getResource(this.path('replicationJobs', jobId));
      if (isEnded(job)) return job;
      await onLook(job);
      await sleep(pauseMs, undefined, { signal: this.#signal });
    }
  }

  /** As `followJob`. Throws AgentError `OperationFailed` when the job did not succeed. */
  async waitForJob(jobId: string, onLook?: (job: ArmResource) => Promise<void>): Promise<ArmResource> {
    const job = await this.followJob(jobId, onLook);
    const state = String(job.properties['state']);
    if (state === 'Succeeded' || state === 'CompletedWithInformation') return job;
    const message = `Job ${jobId} (${String(job.properties['friendlyName'])}) ended as ${state}: ${firstErrorOf(job)}`;
    throw new AgentError('OperationFailed', message, 'See lifeboat job show for its steps and what to do.');
  }

  /** How much of a running job is done, as the service or its steps say. */
  async percentOf({ name, properties }: ArmResource): Promise<number> {
    const path = this.path('replicationOperationStatus', name);
    const { percentComplete } = operationStatus.parse(await this.get(path));
    if (percentComplete !== null) return percentComplete;
    const { tasks } = withSteps.parse(properties);
    const done = tasks.filter(({ state }) => endedStates.has(state)).length;
    return (100 * done) / Math.max(1, tasks.length);
  }

  /** The protected item of that name, whatever its site. Throws AgentError `NotAssigned` that names the others. */
  async getItem(name: string): Promise<ArmResource> {
    const items = await this.listResources(this.path('replicationProtectedItems'));
    const found = items.find(
      (each) =>
        each.name.toLowerCase() === name.toLowerCase() ||
        String(each.properties['friendlyName']).toLowerCase() === name.toLowerCase(),
    );
    if (found) return found;
    const known = items.map((each) => each.name).join(', ');
    const message = `The service has no protected item "${name}"; it has ${known === '' ? 'none' : known}.`;
    throw new AgentError('NotAssigned', message, 'See lifeboat item list.');
  }

  /** The one container of a site. */
  async getContainer(site: string): Promise<string> {
    const path = this.path('replicationFabrics', site, 'replicationProtectionContainers');
    const [container] = await this.listResources(path);
    if (container) return container.id;
    throw new AgentError('NotAssigned', `Site "${site}" has no container.`, 'See lifeboat site list.');
  }
}

function withVersion(path: string): string {
  if (path.includes('api-version=') || path.startsWith('/lifeboat/')) return path;
  return `${path}${path.includes('?') ? '&' : '?'}api-version=${apiVersion}`;
}

function pathOfLink(link: string): string {
  const { pathname, search } = new URL(link);
  return pathname + search;
}

export function firstErrorOf({ properties }: ArmResource): string {
  const errors = z
    .array(
      z.looseObject({
        serviceErrorDetails: z.looseObject({ code: z.string(), message: z.string() }).nullish(),
      }),
    )
    .catch([])
    .parse(properties['errors']);
  const [first] = errors.flatMap(({ serviceErrorDetails }) => serviceErrorDetails ?? []);
  return first ? `${first.code}: ${first.message}` : 'without a reason';
}
