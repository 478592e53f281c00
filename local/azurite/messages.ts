// What host and Azurite process say to each other over their IPC channel.

export interface AzuritePorts {
  blob: number;
  queue: number;
  table: number;
}

/** Host → Azurite. `start` comes first and once; nothing is opened before it. */
export type HostMessage =
  | { type: 'start'; directory: string; ports: Partial<AzuritePorts> }
  /** Replaces the set of containers whose changes are reported. */
  | { type: 'watch'; containers: string[] }
  | { type: 'stop' };

/** Azurite → host. */
export type AzuriteMessage =
  | { type: 'ready'; ports: AzuritePorts }
  | { type: 'failed'; reason: string }
  /** Blobs of watched containers whose content was written since the last message. */
  | { type: 'changed'; blobs: BlobName[] };

export interface BlobName {
  container: string;
  blob: string;
}
