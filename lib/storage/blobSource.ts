// One version of a blob as a random-access source: every read names the ETag, so that bytes of two versions never mix.
import type { RandomAccessSource } from '../disk/source.ts';
import type { BlobInfo, BlobPort } from './ports.ts';

/** Reads throw `LogChanged` when the blob was replaced meanwhile, `BlobNotFound` when it is gone. */
export function blobSource(blobs: BlobPort, blob: BlobInfo): RandomAccessSource {
  return {
    sizeBytes: blob.sizeBytes,
    read: (offsetBytes, lengthBytes) => blobs.read(blob.name, { offsetBytes, lengthBytes }, blob.etag),
  };
}
