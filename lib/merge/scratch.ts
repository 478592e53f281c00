// Room outside memory for bytes that will be needed again and could be fetched again: a port, because nothing here does I/O.

/** Bytes of one piece of work. Calls may run at the same time on different ranges. */
export interface ScratchFile {
  /** How much it takes. */
  readonly sizeBytes: number;
  /** Writes all of it or throws. The data may be reused after the promise resolved. */
  write(offsetBytes: number, data: Uint8Array): Promise<void>;
  /** Fills `target` with what was written there, or throws. */
  read(offsetBytes: number, target: Uint8Array): Promise<void>;
  /** Gives the room back; nothing remains. May be called twice. Does not throw. */
  close(): Promise<void>;
}

export interface ScratchSpace {
  /** A file of up to `sizeBytes`; undefined where there is no room at the moment. May throw what the system says. */
  open(sizeBytes: number): Promise<ScratchFile | undefined>;
}
