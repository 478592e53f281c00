// Rows of the Inbox table: messages to an instance, in the order of their numbers. Only the instance's own loop writes here,
// so a number is never given twice and never below the cursor of the instance row.
import type { TableClient } from '@azure/data-tables';
import type { InboxEvent } from './events.ts';
import { quote } from './historyStore.ts';
import type { PayloadStore } from './payloads.ts';
import type { StepGuard } from './stepGuard.ts';
import { deleteRows, submitActions } from './taskHub.ts';

/** A message before it has a number. `executionId` is the one it belongs to; undefined for external events, which any execution takes. */
export interface Message {
  messageId: string;
  executionId?: string;
  event: InboxEvent;
}

export interface InboxMessage extends Message {
  sequence: number;
  json: string;
  blobName?: string;
}

interface InboxRow {
  rowKey: string;
  MessageId: string;
  ExecutionId: string;
  Event: string;
  EventBlob: string;
}

export class InboxStore {
  private readonly table: TableClient;
  private readonly payloads: PayloadStore;
  private readonly guard: StepGuard;

  constructor(table: TableClient, payloads: PayloadStore, guard: StepGuard) {
    this.table = table;
    this.payloads = payloads;
    this.guard = guard;
  }

  /** Inserts messages under consecutive numbers. Fails whole or, for more than one transaction, after a prefix. */
  async add(
    instanceId: string,
    firstSequence: number,
    messages: readonly Message[],
  ): Promise<InboxMessage[]> {
    const numbered: InboxMessage[] = [];
    for (const message of messages) {
      const { text, blobName } = await this.payloads.store(instanceId, JSON.stringify(message.event));
      const sequence = firstSequence + numbered.length;
      numbered.push({ ...message, sequence, json: text, ...(blobName === undefined ? {} : { blobName }) });
    }
    const rows = numbered.map((message) => ({
      partitionKey: instanceId,
      rowKey: rowKeyOf(message.sequence),
      MessageId: message.messageId,
      ExecutionId: message.executionId ?? '',
      Event: message.blobName === undefined ? message.json : '',
      EventBlob: message.blobName ?? '',
    }));
    const [only] = rows;
    await this.guard.step('inbox.write', async () => {
      // One row is the usual case, and a plain insert costs half of a transaction.
      if (only && rows.length === 1) await this.table.createEntity(only);
      else
        await submitActions(
          this.table,
          rows.map((row) => ['create', row]),
        );
    });
    return numbered;
  }

  /** All messages, in order; those at or below the instance's cursor are garbage. */
  async read(instanceId: string): Promise<InboxMessage[]> {
    const messages: InboxMessage[] = [];
    const filter = `PartitionKey eq '${quote(instanceId)}'`;
    for await (const row of this.table.listEntities<InboxRow>({ queryOptions: { filter } })) {
      const stored = await this.payloads.load(row.Event, row.EventBlob);
      messages.push({
        messageId: row.MessageId,
        sequence: Number(row.rowKey),
        event: JSON.parse(stored.text) as InboxEvent,
        json: stored.text,
        ...(row.ExecutionId === '' ? {} : { executionId: row.ExecutionId }),
        ...(stored.blobName === undefined ? {} : { blobName: stored.blobName }),
      });
    }
    return messages;
  }

  /** The numbers alone, which is all that a finished instance needs. */
  async listSequences(instanceId: string): Promise<number[]> {
    const queryOptions = { filter: `PartitionKey eq '${quote(instanceId)}'`, select: ['RowKey'] };
    const sequences: number[] = [];
    for await (const row of this.table.listEntities<{ rowKey: string }>({ queryOptions })) {
      sequences.push(Number(row.rowKey));
    }
    return sequences;
  }

  /** Deletes consumed messages. Their blobs stay: the history may name them now. */
  async remove(instanceId: string, sequences: readonly number[]): Promise<void> {
    this.guard.reach('inbox.sweep');
    await deleteRows(this.table, instanceId, sequences.map(rowKeyOf));
  }
}

function rowKeyOf(sequence: number): string {
  return String(sequence).padStart(10, '0');
}
