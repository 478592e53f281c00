// Rows of the History table. Rows at or beyond the instance row's HistoryLength, or of another execution, do not exist for a reader.
import type { TableClient } from '@azure/data-tables';
import type { HistoryEvent } from './events.ts';
import { PayloadMissing, type PayloadStore } from './payloads.ts';
import type { StepGuard } from './stepGuard.ts';
import { deleteRows, submitActions } from './taskHub.ts';

/** A history event, its JSON text, and its blob when it is long. */
export interface StoredEvent<E extends HistoryEvent = HistoryEvent> {
  event: E;
  json: string;
  blobName?: string;
}

interface HistoryRow {
  EventType: number;
  Event: string;
  EventBlob: string;
}

export class HistoryStore {
  private readonly table: TableClient;
  private readonly payloads: PayloadStore;
  private readonly guard: StepGuard;

  constructor(table: TableClient, payloads: PayloadStore, guard: StepGuard) {
    this.table = table;
    this.payloads = payloads;
    this.guard = guard;
  }

  /** Writes events from row `startIndex` on, over whatever an uncommitted episode left there. May be repeated. */
  async write(
    instanceId: string,
    executionId: string,
    startIndex: number,
    events: readonly StoredEvent[],
  ): Promise<void> {
    await this.guard.step('history.write', () =>
      submitActions(
        this.table,
        events.map(({ event, json, blobName }, index) => [
          'upsert',
          {
            partitionKey: instanceId,
            rowKey: rowKeyOf(executionId, startIndex + index),
            EventType: event.EventType,
            Event: blobName === undefined ? json : '',
            EventBlob: blobName ?? '',
          },
          'Replace',
        ]),
      ),
    );
  }

  /** Events [startIndex, length) of an execution. @throws PayloadMissing when rows or blobs are missing. */
  async read(
    instanceId: string,
    executionId: string,
    length: number,
    startIndex = 0,
  ): Promise<StoredEvent[]> {
    if (length <= startIndex) return [];
    const [start, end] = [rowKeyOf(executionId, startIndex), rowKeyOf(executionId, length)];
    const filter = `PartitionKey eq '${quote(instanceId)}' and RowKey ge '${start}' and RowKey lt '${end}'`;
    const events: StoredEvent[] = [];
    for await (const row of this.table.listEntities<HistoryRow>({ queryOptions: { filter } })) {
      const stored = await this.payloads.load(row.Event, row.EventBlob);
      const event = JSON.parse(stored.text) as HistoryEvent;
      events.push({
        event,
        json: stored.text,
        ...(stored.blobName === undefined ? {} : { blobName: stored.blobName }),
      });
    }
    if (events.length !== length - startIndex) {
      throw new PayloadMissing(`history rows ${startIndex + events.length} to ${length}`);
    }
    return events;
  }

  /** Deletes the rows of all executions but one (all rows when undefined). */
  async sweep(instanceId: string, currentExecutionId: string | undefined): Promise<void> {
    this.guard.reach('history.sweep');
    const filter = `PartitionKey eq '${quote(instanceId)}'`;
    const rowKeys: string[] = [];
    const blobNames: string[] = [];
    const rows = this.table.listEntities<{ rowKey: string; EventBlob: string }>({
      queryOptions: { filter, select: ['RowKey', 'EventBlob'] },
    });
    for await (const row of rows) {
      if (currentExecutionId !== undefined && row.rowKey.startsWith(`${currentExecutionId}-`)) continue;
      rowKeys.push(row.rowKey);
      if (row.EventBlob !== '') blobNames.push(row.EventBlob);
    }
    await this.payloads.deleteBlobs(blobNames);
    await deleteRows(this.table, instanceId, rowKeys);
  }
}

function rowKeyOf(executionId: string, index: number): string {
  return `${executionId}-${String(index).padStart(8, '0')}`;
}

/** A text inside the quotes of an OData filter. */
export function quote(text: string): string {
  return text.replaceAll("'", "''");
}
