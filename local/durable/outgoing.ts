// What an instance's loop asks of the rest of the host once a commit is durable.
import type { SchedulingEvent } from './events.ts';
import type { InstanceRecord } from './instanceRecord.ts';

/** What follows from committed state. All calls return at once, may be repeated, and cause each effect once. */
export interface Outgoing {
  dispatch(record: InstanceRecord, tasks: readonly SchedulingEvent[]): void;
  cancelTimer(instanceId: string, taskId: number): void;
  /** Nothing that an earlier execution scheduled is to run any more. */
  forget(instanceId: string): void;
  /** The instance has reached its final status. */
  finished(record: InstanceRecord): void;
}
