// An instance record as a row of the Instances table. Empty text stands for "none": no JSON text is empty.
// Long texts are in blobs, so reading them is the store's work; this file only maps.
import type { InstanceRecord, RuntimeStatus } from './instanceRecord.ts';
import type { StoredText } from './payloads.ts';

export interface InstanceRow {
  partitionKey: string;
  rowKey: string;
  etag: string;
  Name: string;
  Version: string;
  ExecutionId: string;
  RuntimeStatus: RuntimeStatus;
  CreatedTime: Date;
  LastUpdatedTime: Date;
  StartedTime: string;
  Input: string;
  InputBlob: string;
  Output: string;
  OutputBlob: string;
  CustomStatus: string;
  ParentInstanceId: string;
  ParentExecutionId: string;
  ParentTaskId: number;
  HistoryLength: number;
  InboxCursor: number;
}

export function toRow(record: InstanceRecord): Omit<InstanceRow, 'etag'> {
  return {
    partitionKey: record.instanceId,
    rowKey: '',
    Name: record.name,
    Version: record.version,
    ExecutionId: record.executionId,
    RuntimeStatus: record.status,
    CreatedTime: record.createdAt,
    LastUpdatedTime: record.lastUpdatedAt,
    StartedTime: record.startedAt,
    Input: inlinePart(record.input),
    InputBlob: record.input?.blobName ?? '',
    Output: inlinePart(record.output),
    OutputBlob: record.output?.blobName ?? '',
    CustomStatus: record.customStatus ?? '',
    ParentInstanceId: '',
    ParentExecutionId: '',
    ParentTaskId: -1,
    ...parentColumns(record),
    HistoryLength: record.historyLength,
    InboxCursor: record.inboxCursor,
  };
}

/** Everything but input and output. */
export function toRecord(row: InstanceRow): InstanceRecord {
  return {
    instanceId: row.partitionKey,
    name: row.Name,
    version: row.Version,
    executionId: row.ExecutionId,
    status: row.RuntimeStatus,
    createdAt: row.CreatedTime,
    lastUpdatedAt: row.LastUpdatedTime,
    startedAt: row.StartedTime,
    historyLength: row.HistoryLength,
    inboxCursor: row.InboxCursor,
    ...(row.CustomStatus !== '' && { customStatus: row.CustomStatus }),
    ...(row.ParentInstanceId !== '' && {
      parent: {
        instanceId: row.ParentInstanceId,
        executionId: row.ParentExecutionId,
        taskId: row.ParentTaskId,
      },
    }),
  };
}

function inlinePart(stored: StoredText | undefined): string {
  return stored === undefined || stored.blobName !== undefined ? '' : stored.text;
}

function parentColumns({ parent }: InstanceRecord): Partial<InstanceRow> {
  if (parent === undefined) return {};
  return {
    ParentInstanceId: parent.instanceId,
    ParentExecutionId: parent.executionId,
    ParentTaskId: parent.taskId,
  };
}
