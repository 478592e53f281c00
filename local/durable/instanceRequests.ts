// What clients may ask of instances. Reads go to the tables; changes go to the instance's actor and are durable when they return.
import { randomUUID } from 'node:crypto';
import { eventType } from './events.ts';
import type { FunctionIndex } from './functionIndex.ts';
import type { HistoryStore } from './historyStore.ts';
import { RequestError } from './httpQuery.ts';
import { describeInvalidInstanceId } from './instanceId.ts';
import type { InstanceRegistry } from './instanceRegistry.ts';
import { isFinished, type InstanceRecord } from './instanceRecord.ts';
import type { InstanceFilter, InstanceStore } from './instanceStore.ts';
import { toHistoryView, toStatusView, type StatusView } from './statusView.ts';

export interface InstanceRequestsOptions {
  functions: FunctionIndex;
  registry: InstanceRegistry;
  instances: InstanceStore;
  history: HistoryStore;
}

export interface StartParameters {
  name: string;
  /** A fresh one when undefined. */
  instanceId: string | undefined;
  version: string;
  /** JSON text. */
  input: string | undefined;
}

export interface ShowOptions {
  showInput: boolean;
  showHistory: boolean;
  showHistoryOutput: boolean;
}

export interface ListOptions {
  pageSize: number;
  showInput: boolean;
  continuationToken: string | undefined;
}

const controlEvents = {
  terminate: eventType.executionTerminated,
  suspend: eventType.executionSuspended,
  resume: eventType.executionResumed,
} as const;

export class InstanceRequests {
  private readonly options: InstanceRequestsOptions;
  private readonly endWaiters = new Map<string, Set<() => void>>();

  constructor(options: InstanceRequestsOptions) {
    this.options = options;
  }

  /** Returns the instance id. @throws RequestError 400 unknown function or bad id, 409 the id is in use by an unfinished instance */
  async start({ name, instanceId, version, input }: StartParameters): Promise<string> {
    const { functions, registry } = this.options;
    const orchestrator = functions.find('orchestrator', name);
    if (orchestrator === undefined)
      throw new RequestError(400, functions.describeMissing('orchestrator', name));
    const id = instanceId ?? randomUUID().replaceAll('-', '');
    const problem = describeInvalidInstanceId(id);
    if (problem !== undefined) throw new RequestError(400, problem);
    const request = {
      name: orchestrator.name,
      version,
      ...(input === undefined ? {} : { input: { text: input } }),
    };
    const outcome = await registry.get(id).start(request);
    if (outcome === 'started') return id;
    throw new RequestError(
      409,
      `An instance with id '${id}' is not finished; wait for it, terminate it, or use another id.`,
    );
  }

  /** @throws RequestError 404 */
  async show(
    instanceId: string,
    { showInput, showHistory, showHistoryOutput }: ShowOptions,
  ): Promise<StatusView> {
    const record = await this.get(instanceId);
    const view = toStatusView(record, showInput);
    if (!showHistory) return view;
    const stored = await this.options.history.read(instanceId, record.executionId, record.historyLength);
    view.historyEvents = toHistoryView(
      stored.map(({ event }) => event),
      showHistoryOutput,
    );
    return view;
  }

  /** One page. @throws RequestError 400 for a continuation token that is not ours */
  async list(
    filter: InstanceFilter,
    options: ListOptions,
  ): Promise<{ views: StatusView[]; continuationToken?: string }> {
    const { pageSize, continuationToken, showInput } = options;
    if (continuationToken !== undefined && !isContinuationToken(continuationToken)) {
      throw new RequestError(
        400,
        'The x-ms-continuation-token is not one that this API has given out; start again without it.',
      );
    }
    const page = await this.options.instances.list(filter, pageSize, continuationToken);
    const views = page.records.map((record) => toStatusView(record, showInput));
    return page.continuationToken === undefined
      ? { views }
      : { views, continuationToken: page.continuationToken };
  }

  /** `input` is JSON text or empty. @throws RequestError 404, 410 when the instance is finished */
  async raiseEvent(instanceId: string, name: string, input: string): Promise<void> {
    const event = {
      EventType: eventType.eventRaised,
      EventId: -1,
      Timestamp: new Date().toISOString(),
      Name: name,
      Input: input,
    };
    const outcome = await this.options.registry.get(instanceId).deliver({ messageId: randomUUID(), event });
    if (outcome === 'accepted') return;
    await this.get(instanceId);
    throw finishedError(instanceId);
  }

  /** @throws RequestError 404, 410 when the instance is finished */
  async control(instanceId: string, verb: keyof typeof controlEvents, reason: string): Promise<void> {
    const outcome = await this.options.registry.get(instanceId).control(controlEvents[verb], reason);
    if (outcome === 'missing') throw missingError(instanceId);
    if (outcome === 'finished') throw finishedError(instanceId);
  }

  /** Starts the same orchestration with the same input; returns the id. @throws RequestError 404, 409 */
  async restart(instanceId: string, withNewId: boolean): Promise<string> {
    const { name, version, input } = await this.get(instanceId);
    return this.start({ name, version, input: input?.text, instanceId: withNewId ? undefined : instanceId });
  }

  /** @throws RequestError 404, 409 when the instance is not finished */
  async purge(instanceId: string): Promise<void> {
    const outcome = await this.options.registry.get(instanceId).purge();
    if (outcome === 'missing') throw missingError(instanceId);
    if (outcome === 'running')
      throw new RequestError(
        409,
        `Instance '${instanceId}' is not finished; terminate it before purging it.`,
      );
  }

  /** Purges all that match, which the filter must limit to finished instances. Returns how many. */
  async purgeMany(filter: InstanceFilter): Promise<number> {
    const ids: string[] = [];
    for await (const id of this.options.instances.listIds(filter)) ids.push(id);
    let purgedCount = 0;
    for (const id of ids) {
      if ((await this.options.registry.get(id).purge()) === 'purged') purgedCount++;
    }
    return purgedCount;
  }

  /** The final status, or undefined when it is not reached in time. */
  async waitForEnd(instanceId: string, timeoutMs: number): Promise<StatusView | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const waiters = this.endWaiters.get(instanceId) ?? new Set<() => void>();
    this.endWaiters.set(instanceId, waiters);
    let wake: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (wake = resolve));
    waiters.add(wake);
    try {
      // It may have ended before the waiter was there.
      const now = await this.options.instances.find(instanceId);
      if (now && !isFinished(now.record.status))
        await Promise.race([ended, new Promise((resolve) => (timer = setTimeout(resolve, timeoutMs)))]);
      const record = await this.get(instanceId);
      return isFinished(record.status) ? toStatusView(record, true) : undefined;
    } finally {
      clearTimeout(timer);
      waiters.delete(wake);
      if (waiters.size === 0) this.endWaiters.delete(instanceId);
    }
  }

  /** Tells those who wait for an instance that it has ended. */
  announceEnd(instanceId: string): void {
    for (const wake of this.endWaiters.get(instanceId) ?? []) wake();
  }

  private async get(instanceId: string): Promise<InstanceRecord> {
    const found = await this.options.instances.find(instanceId);
    if (found === undefined) throw missingError(instanceId);
    return found.record;
  }
}

function missingError(instanceId: string): RequestError {
  return new RequestError(404, `No instance with ID '${instanceId}' found.`);
}

function finishedError(instanceId: string): RequestError {
  return new RequestError(410, `Instance '${instanceId}' is finished already.`);
}

/** The table client's token is the base64 of a JSON object. */
function isContinuationToken(token: string): boolean {
  try {
    return typeof JSON.parse(Buffer.from(token, 'base64').toString('utf8')) === 'object';
  } catch {
    return false;
  }
}
