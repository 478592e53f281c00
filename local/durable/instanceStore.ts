// Rows of the Instances table. A row changes only through `update`, under its ETag: that write is the commit of an episode
// (docs/local-durable.md).
import type { TableClient } from '@azure/data-tables';
import { quote } from './historyStore.ts';
import type { InstanceRecord, RuntimeStatus } from './instanceRecord.ts';
import { toRecord, toRow, type InstanceRow } from './instanceRow.ts';
import { PayloadMissing, type PayloadStore, type StoredText } from './payloads.ts';
import type { StepGuard } from './stepGuard.ts';
import { ignoreMissing, statusCodeOf } from './taskHub.ts';

/** A record and the ETag it was read or written with. */
export interface VersionedRecord {
  record: InstanceRecord;
  etag: string;
}

export interface InstanceFilter {
  createdFrom?: Date;
  createdTo?: Date;
  statuses?: readonly RuntimeStatus[];
  instanceIdPrefix?: string;
}

export interface InstancePage {
  records: InstanceRecord[];
  continuationToken?: string;
}

export class InstanceStore {
  private readonly table: TableClient;
  private readonly payloads: PayloadStore;
  private readonly guard: StepGuard;

  constructor(table: TableClient, payloads: PayloadStore, guard: StepGuard) {
    this.table = table;
    this.payloads = payloads;
    this.guard = guard;
  }

  /** Inserts the row of a new instance; undefined when there is one already. */
  async insert(record: InstanceRecord): Promise<VersionedRecord | undefined> {
    try {
      const { etag } = await this.guard.step('instance.create', () => this.table.createEntity(toRow(record)));
      return { record, etag: etag ?? '' };
    } catch (error) {
      if (statusCodeOf(error) === 409) return undefined;
      throw error;
    }
  }

  /** Replaces the row. @throws RestError 412 when it is not as it was read; then nothing has changed. */
  async update(before: VersionedRecord, record: InstanceRecord): Promise<VersionedRecord> {
    const { etag } = await this.guard.step('commit', () =>
      this.table.updateEntity(toRow(record), 'Replace', { etag: before.etag }),
    );
    return { record, etag: etag ?? '' };
  }

  /** @throws PayloadMissing when a large input or output is gone. */
  async find(instanceId: string): Promise<VersionedRecord | undefined> {
    const row = await ignoreMissing(this.table.getEntity<InstanceRow>(instanceId, ''));
    return row && { record: await this.fromRow(row), etag: row.etag };
  }

  /** The same with no input and no output, for an instance whose texts the storage lost. */
  async findWithoutTexts(instanceId: string): Promise<VersionedRecord | undefined> {
    const row = await ignoreMissing(this.table.getEntity<InstanceRow>(instanceId, ''));
    const bare = row && { ...row, Input: '', InputBlob: '', Output: '', OutputBlob: '' };
    return bare && { record: await this.fromRow(bare), etag: bare.etag };
  }

  /** Deletes the row; the last step of a purge. */
  async remove(instanceId: string): Promise<void> {
    this.guard.reach('purge.row');
    await ignoreMissing(this.table.deleteEntity(instanceId, ''));
  }

  /** One page, ordered by instance id. Texts that the storage lost are left out. */
  async list(filter: InstanceFilter, pageSize: number, continuationToken?: string): Promise<InstancePage> {
    const text = toODataFilter(filter);
    const pages = this.table
      .listEntities<InstanceRow>({ queryOptions: text === '' ? {} : { filter: text } })
      .byPage({ maxPageSize: pageSize, ...(continuationToken === undefined ? {} : { continuationToken }) });
    const page = await pages.next();
    if (page.done === true) return { records: [] };
    const records = await Promise.all(page.value.map((row) => this.fromRowOrBare(row)));
    const next = (page.value as { continuationToken?: string }).continuationToken;
    return next === undefined ? { records } : { records, continuationToken: next };
  }

  /** Ids of all instances that match. */
  async *listIds(filter: InstanceFilter): AsyncGenerator<string> {
    const queryOptions = { filter: toODataFilter(filter), select: ['PartitionKey'] };
    for await (const row of this.table.listEntities<{ partitionKey: string }>({ queryOptions }))
      yield row.partitionKey;
  }

  private async fromRow(row: InstanceRow): Promise<InstanceRecord> {
    const [input, output] = await Promise.all([
      this.loadText(row.Input, row.InputBlob),
      this.loadText(row.Output, row.OutputBlob),
    ]);
    return { ...toRecord(row), ...(input && { input }), ...(output && { output }) };
  }

  /** One damaged instance must not hide all others of a page. */
  private async fromRowOrBare(row: InstanceRow): Promise<InstanceRecord> {
    try {
      return await this.fromRow(row);
    } catch (error) {
      if (error instanceof PayloadMissing) return toRecord(row);
      throw error;
    }
  }

  private async loadText(inline: string, blobName: string): Promise<StoredText | undefined> {
    return inline === '' && blobName === '' ? undefined : this.payloads.load(inline, blobName);
  }
}

function toODataFilter(filter: InstanceFilter): string {
  const { createdFrom, createdTo, statuses, instanceIdPrefix } = filter;
  const terms: string[] = [];
  if (createdFrom) terms.push(`CreatedTime ge datetime'${createdFrom.toISOString()}'`);
  if (createdTo) terms.push(`CreatedTime le datetime'${createdTo.toISOString()}'`);
  if (statuses) {
    const names = statuses.length === 0 ? [''] : statuses;
    terms.push(`(${names.map((name) => `RuntimeStatus eq '${name}'`).join(' or ')})`);
  }
  if (instanceIdPrefix !== undefined && instanceIdPrefix !== '') {
    const last = instanceIdPrefix.length - 1;
    const end = instanceIdPrefix.slice(0, last) + String.fromCharCode(instanceIdPrefix.charCodeAt(last) + 1);
    terms.push(`PartitionKey ge '${quote(instanceIdPrefix)}' and PartitionKey lt '${quote(end)}'`);
  }
  return terms.join(' and ');
}
