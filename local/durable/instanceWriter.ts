// All durable changes of one instance, each as the sequence of writes that docs/local-durable.md allows.
// Called by the instance's own loop only, one at a time; after an error the caller drops the LoadedInstance and loads again.
import type { EpisodeOutcome } from './episode.ts';
import { toStored } from './episodeEvents.ts';
import { eventType, type ControlEvent } from './events.ts';
import type { HistoryStore, StoredEvent } from './historyStore.ts';
import type { InboxStore, Message } from './inboxStore.ts';
import { isFinished, type InstanceRecord, type RuntimeStatus } from './instanceRecord.ts';
import type { InstanceStore } from './instanceStore.ts';
import { newExecutionId } from './instanceStart.ts';
import { LoadedInstance } from './loadedInstance.ts';
import { PayloadMissing, type PayloadStore } from './payloads.ts';

export interface InstanceStores {
  instances: InstanceStore;
  history: HistoryStore;
  inbox: InboxStore;
  payloads: PayloadStore;
}

/** Deleting consumed messages waits for this many, or for the end of the instance: they cost nothing meanwhile. */
const sweepThreshold = 50;

export class InstanceWriter {
  private readonly stores: InstanceStores;

  constructor(stores: InstanceStores) {
    this.stores = stores;
  }

  /** Reads the instance; undefined when there is none. An instance whose committed state the storage lost comes back Failed. */
  async load(instanceId: string): Promise<LoadedInstance | undefined> {
    const { instances, history, inbox } = this.stores;
    try {
      const found = await instances.find(instanceId);
      if (found === undefined) return undefined;
      const { record } = found;
      if (isFinished(record.status))
        return LoadedInstance.finished(found, await inbox.listSequences(instanceId));
      const [events, messages] = await Promise.all([
        history.read(instanceId, record.executionId, record.historyLength),
        inbox.read(instanceId),
      ]);
      return new LoadedInstance(found, events, messages);
    } catch (error) {
      if (!(error instanceof PayloadMissing)) throw error;
      return this.failDamaged(instanceId, error);
    }
  }

  /** Inserts a new instance; undefined when the id is taken. */
  async create(record: InstanceRecord): Promise<LoadedInstance | undefined> {
    const created = await this.stores.instances.insert(await this.withStoredTexts(record));
    return created && new LoadedInstance(created);
  }

  /** Starts a finished instance's id again as `record`. Messages to the old execution are void. */
  async replace(loaded: LoadedInstance, record: InstanceRecord): Promise<void> {
    loaded.consumeInbox();
    const next = { ...(await this.withStoredTexts(record)), inboxCursor: loaded.nextSequence - 1 };
    loaded.applyCommit(await this.stores.instances.update(loaded.versioned, next), []);
    await this.sweepInbox(loaded);
    await this.sweepHistory(loaded);
  }

  /** Makes messages durable. A message that is in the inbox already is not added again. */
  async accept(loaded: LoadedInstance, messages: readonly Message[]): Promise<void> {
    const known = new Set(loaded.inbox.map((message) => message.messageId));
    const added = messages.filter((message) => !known.has(message.messageId));
    if (added.length === 0) return;
    const numbered = await this.stores.inbox.add(loaded.record.instanceId, loaded.nextSequence, added);
    loaded.inbox.push(...numbered);
    loaded.nextSequence += numbered.length;
  }

  /** Commits an episode that consumed the whole inbox. */
  async commitEpisode(loaded: LoadedInstance, outcome: EpisodeOutcome): Promise<void> {
    const before = loaded.record;
    const record: InstanceRecord = {
      ...before,
      status: 'Running',
      lastUpdatedAt: new Date(),
      inboxCursor: loaded.nextSequence - 1,
      ...(outcome.customStatus === undefined ? {} : { customStatus: outcome.customStatus }),
    };
    if (outcome.next) return this.commitNextExecution(loaded, record, outcome.next.input);
    const events = await this.writeHistory(loaded, outcome.events);
    record.historyLength += events.length;
    if (outcome.ending) {
      record.status = outcome.ending.status;
      record.output = await this.stores.payloads.store(before.instanceId, outcome.ending.output);
    }
    loaded.applyCommit(await this.stores.instances.update(loaded.versioned, record), events);
    loaded.consumeInbox();
    await this.sweepInbox(loaded);
  }

  /** Suspends, resumes or terminates. An instance that has not started keeps an empty history, from which its start follows. */
  async commitControl(
    loaded: LoadedInstance,
    kind: ControlEvent['EventType'],
    reason: string,
  ): Promise<void> {
    const { record } = loaded;
    const event: ControlEvent = {
      EventType: kind,
      EventId: -1,
      Timestamp: new Date().toISOString(),
      Reason: reason,
    };
    const events = record.historyLength === 0 ? [] : await this.writeHistory(loaded, [toStored(event)]);
    const isTerminated = kind === eventType.executionTerminated;
    const next: InstanceRecord = {
      ...record,
      status: statusAfter(kind),
      lastUpdatedAt: new Date(),
      historyLength: record.historyLength + events.length,
      ...(isTerminated
        ? { output: { text: JSON.stringify(reason) }, inboxCursor: loaded.nextSequence - 1 }
        : {}),
    };
    loaded.applyCommit(await this.stores.instances.update(loaded.versioned, next), events);
    if (!isTerminated) return;
    loaded.consumeInbox();
    await this.sweepInbox(loaded);
  }

  /** Deletes consumed messages when it is worth a request. Those above the cursor are duplicates, recognised again after a crash. */
  async sweepInbox(loaded: LoadedInstance): Promise<void> {
    const { consumedSequences, isFinished: isOver } = loaded;
    if (consumedSequences.length === 0 || (!isOver && consumedSequences.length < sweepThreshold)) return;
    await this.stores.inbox.remove(loaded.record.instanceId, consumedSequences);
    loaded.consumedSequences = [];
  }

  /** Deletes the history of earlier executions. */
  async sweepHistory({ record }: LoadedInstance): Promise<void> {
    await this.stores.history.sweep(record.instanceId, record.executionId);
  }

  /** Deletes a finished instance. The row goes last: until then a crash leaves something to purge again. */
  async purge(instanceId: string): Promise<void> {
    const { instances, history, inbox, payloads } = this.stores;
    await history.sweep(instanceId, undefined);
    await inbox.remove(instanceId, await inbox.listSequences(instanceId));
    await payloads.deleteAllOf(instanceId);
    await instances.remove(instanceId);
  }

  private async commitNextExecution(
    loaded: LoadedInstance,
    base: InstanceRecord,
    input: string | null,
  ): Promise<void> {
    const record = await this.withStoredTexts({
      ...withoutInput(base),
      executionId: newExecutionId(),
      startedAt: new Date().toISOString(),
      historyLength: 0,
      ...(input === null ? {} : { input: { text: input } }),
    });
    loaded.applyCommit(await this.stores.instances.update(loaded.versioned, record), []);
    loaded.consumeInbox();
    await this.sweepInbox(loaded);
    await this.sweepHistory(loaded);
  }

  private async writeHistory(loaded: LoadedInstance, events: readonly StoredEvent[]): Promise<StoredEvent[]> {
    const { instanceId, executionId, historyLength } = loaded.record;
    const stored: StoredEvent[] = [];
    for (const one of events) {
      const blobName = one.blobName ?? (await this.stores.payloads.store(instanceId, one.json)).blobName;
      stored.push({ event: one.event, json: one.json, ...(blobName === undefined ? {} : { blobName }) });
    }
    await this.stores.history.write(instanceId, executionId, historyLength, stored);
    return stored;
  }

  private async withStoredTexts(record: InstanceRecord): Promise<InstanceRecord> {
    if (record.input === undefined) return record;
    return { ...record, input: await this.stores.payloads.store(record.instanceId, record.input.text) };
  }

  private async failDamaged(instanceId: string, cause: Error): Promise<LoadedInstance | undefined> {
    const found = await this.stores.instances.findWithoutTexts(instanceId);
    if (found === undefined) return undefined;
    if (isFinished(found.record.status)) {
      return LoadedInstance.finished(found, await this.stores.inbox.listSequences(instanceId));
    }
    const rest = withoutInput(found.record);
    const output = JSON.stringify(`Orchestrator function '${rest.name}' failed: ${cause.message}`);
    const record: InstanceRecord = {
      ...rest,
      status: 'Failed',
      lastUpdatedAt: new Date(),
      output: { text: output },
      historyLength: 0,
    };
    const loaded = new LoadedInstance(await this.stores.instances.update(found, record));
    loaded.damage = cause.message;
    return loaded;
  }
}

function withoutInput(record: InstanceRecord): InstanceRecord {
  const rest = { ...record };
  delete rest.input;
  return rest;
}

function statusAfter(kind: ControlEvent['EventType']): RuntimeStatus {
  switch (kind) {
    case eventType.executionSuspended:
      return 'Suspended';
    case eventType.executionResumed:
      return 'Running';
    case eventType.executionTerminated:
      return 'Terminated';
  }
}
