// What writes the bytes of a disk into an open file: as they are, or into the blocks of a container.
import type { DiskReader } from '../disk/reader.ts';
import type { ContainerFile } from './containerFile.ts';

/** The file stays the caller's. */
export interface DiskWriter {
  /** Shows what was written. */
  readonly reader: DiskReader;
  /** Inside the disk, whole sectors of it; calls may run at the same time for places that do not overlap. */
  write(offsetBytes: number, bytes: Uint8Array): Promise<void>;
  /** What was written is durable when it resolves. */
  sync(): Promise<void>;
  /** Gives back what the file has too much, when nobody writes any more. */
  trim(): Promise<void>;
}

/** Writes where the bytes of the disk are those of the file, from its first on. */
export function plainWriter(file: ContainerFile, reader: DiskReader): DiskWriter {
  return {
    reader,
    write: (offsetBytes, bytes) => file.write(offsetBytes, bytes),
    sync: () => file.flush(),
    trim: () => Promise.resolve(),
  };
}
