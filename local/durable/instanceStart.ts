// A request to start an instance, and the record it leads to.
import { randomUUID } from 'node:crypto';
import type { InstanceRecord, ParentLink } from './instanceRecord.ts';
import type { StoredText } from './payloads.ts';

export interface StartRequest {
  name: string;
  version: string;
  input?: StoredText;
  parent?: ParentLink;
}

/** `known`: this very start (same parent, execution and task) has happened before. `running`: the id is taken. */
export type StartOutcome = 'started' | 'known' | 'running';

/** The row of a new execution that has not begun. */
export function newRecord(instanceId: string, request: StartRequest): InstanceRecord {
  const now = new Date();
  return {
    instanceId,
    executionId: newExecutionId(),
    status: 'Pending',
    createdAt: now,
    lastUpdatedAt: now,
    startedAt: now.toISOString(),
    historyLength: 0,
    inboxCursor: 0,
    ...request,
  };
}

/** True when the record is what this very request has started before. */
export function isSameLink(record: InstanceRecord, { parent }: StartRequest): boolean {
  if (!record.parent || !parent) return false;
  const { instanceId, executionId, taskId } = record.parent;
  return instanceId === parent.instanceId && executionId === parent.executionId && taskId === parent.taskId;
}

/** 32 hex digits. */
export function newExecutionId(): string {
  return randomUUID().replaceAll('-', '');
}
