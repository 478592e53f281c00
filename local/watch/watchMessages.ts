// What a host and the process that watches its app say to each other over their IPC channel.

/** Host → watcher. */
export type HostReport =
  | { type: 'ready'; port: number }
  /** The storage process ended by itself; the host ends now, and a new one finds what was saved. */
  | { type: 'storageLost' };

/** Watcher → host. */
export interface WatcherRequest {
  type: 'stop';
}
