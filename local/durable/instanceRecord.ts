// The committed state of an instance, apart from its history.
import type { StoredText } from './payloads.ts';

export const runtimeStatuses = [
  'Pending',
  'Running',
  'Suspended',
  'Completed',
  'Failed',
  'Terminated',
] as const;
export type RuntimeStatus = (typeof runtimeStatuses)[number];

/** The task of a parent that an instance answers to. Identifies the child: the same link is never started twice. */
export interface ParentLink {
  instanceId: string;
  executionId: string;
  taskId: number;
}

/** The committed state of an instance, without its history. Texts are JSON. */
export interface InstanceRecord {
  instanceId: string;
  name: string;
  version: string;
  executionId: string;
  status: RuntimeStatus;
  createdAt: Date;
  lastUpdatedAt: Date;
  /** Timestamp of this execution's ExecutionStarted event. */
  startedAt: string;
  input?: StoredText;
  output?: StoredText;
  customStatus?: string;
  parent?: ParentLink;
  historyLength: number;
  inboxCursor: number;
}

/** True when nothing can happen to the instance any more. */
export function isFinished(status: RuntimeStatus): boolean {
  return status === 'Completed' || status === 'Failed' || status === 'Terminated';
}
