// The names and payloads that the pure product and the Durable side share.

/** Starts and signals orchestrations; the edge implements it with the Durable client. */
export interface OrchestrationClient {
  /** Starts an orchestration under this instance id; no change when it exists already. */
  start(name: string, instanceId: string, input: object): Promise<void>;
  /** Delivers an event; an instance that is over or unknown: no change. Events may arrive twice. */
  raiseEvent(instanceId: string, eventName: string): Promise<void>;
}

export const enableProtectionName = 'enableProtection';
/** Raised when every disk of the item has arrived. */
export const initialReplicationCompletedEvent = 'initialReplicationCompleted';

/** Input of every orchestration and activity that works for a job on an item. */
export interface ItemJob {
  item: string;
  jobId: string;
}
