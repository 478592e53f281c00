// A frozen view of a source disk as comparing sees it: bytes that do not change, and the places where they may be other
// than zero, when the format of the disk knows.
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import type { AllocatedReader } from '../../lib/resync/allocatedBlocks.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';

/** A source that may know its holes. */
export interface SourceView extends RandomAccessSource {
  /** What may be other than zeros inside the window, ascending and disjoint. Without it everything is read. */
  allocatedRanges?: ((window: ByteRange) => Promise<ByteRange[]>) | undefined;
}

/** The view as a reader of blocks. */
export function allocatedReader(view: SourceView): AllocatedReader {
  return {
    diskSizeBytes: view.sizeBytes,
    read: ({ offsetBytes, lengthBytes }) => view.read(offsetBytes, lengthBytes),
    listRanges: async (window) => (await view.allocatedRanges?.(window)) ?? [window],
  };
}
