// The source's part of a scrub: the coarse digests of a frozen view, one manifest a segment.
import { segmentBlocks, segmentCount } from '../../lib/resync/blocks.ts';
import { encodeCoarse } from '../../lib/resync/digestFormat.ts';
import type { DigestScope } from '../../lib/resync/names.ts';
import { progressOf, type ComparisonProgress } from '../../lib/resync/progress.ts';
import { digestSpan } from '../../lib/resync/spanDigests.ts';
import { allocatedReader, type SourceView } from './sourceView.ts';

export interface PublishOptions {
  scope: DigestScope;
  /** Stores a manifest at the service; may get the same one twice. */
  put: (segment: number, manifest: Uint8Array) => Promise<void>;
  /** Segments before it are at the service already, from the same view. Default 0. */
  firstSegment?: number;
  signal?: AbortSignal | undefined;
  onProgress?: (progress: ComparisonProgress & { segmentsDone: number; segmentsTotal: number }) => void;
}

/** What was read. */
export interface PublishedDigests {
  segmentsPublished: number;
  bytesRead: number;
  bytesSkipped: number;
}

/** Digests the view and publishes segment after segment. May be called again, from the start or from any segment. */
export async function publishDigests(source: SourceView, options: PublishOptions): Promise<PublishedDigests> {
  const { scope, put, firstSegment = 0, signal, onProgress } = options;
  const diskSizeBytes = source.sizeBytes;
  const segments = segmentCount(diskSizeBytes);
  const published = { segmentsPublished: 0, bytesRead: 0, bytesSkipped: 0 };
  const startedAt = performance.now();
  for (let segment = firstSegment; segment < segments; segment++) {
    signal?.throwIfAborted();
    const span = segmentBlocks(diskSizeBytes, segment);
    const { digests, bytesRead, bytesSkipped } = await digestSpan(allocatedReader(source), span, { signal });
    await put(segment, encodeCoarse({ scope, diskSizeBytes, segment }, digests));
    published.segmentsPublished++;
    published.bytesRead += bytesRead;
    published.bytesSkipped += bytesSkipped;
    const done = published.segmentsPublished;
    const total = segments - firstSegment;
    onProgress?.({
      ...progressOf({ done, total, activeMs: performance.now() - startedAt }),
      segmentsDone: firstSegment + done,
      segmentsTotal: segments,
    });
  }
  return published;
}
