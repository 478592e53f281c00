// What every page blob adapter checks before it talks to anything: alignment, the 4 MiB limit, the blob's end.
// Emulators accept writes that Azure refuses, so the check is ours; a violation is a caller's defect (RangeError).
import { pageSizeBytes, pageWriteLimitBytes, type ByteRange } from './ports.ts';

/** Azure's largest page blob. */
const pageBlobLimitBytes = 8 * 1024 ** 4;

/** Throws RangeError unless a page blob can have this size. */
export function assertPageBlobSize(name: string, sizeBytes: number): void {
  const possible = isOffset(sizeBytes) && sizeBytes % pageSizeBytes === 0 && sizeBytes <= pageBlobLimitBytes;
  if (!possible) {
    throw new RangeError(
      `${name}: ${sizeBytes} bytes is not a page blob size (a multiple of 512, at most 8 TiB)`,
    );
  }
}

/**
 * Throws RangeError unless the range is made of whole pages, at least one. The empty range is refused because the
 * service has no such write: it could not check the fence, and success would mean nothing.
 */
export function assertPages(name: string, range: ByteRange): void {
  const { offsetBytes, lengthBytes } = range;
  const whole = offsetBytes % pageSizeBytes === 0 && lengthBytes % pageSizeBytes === 0 && lengthBytes > 0;
  if (!isOffset(offsetBytes) || !isOffset(lengthBytes) || !whole) {
    throw new RangeError(
      `${name}: [${offsetBytes}, ${offsetBytes + lengthBytes}) is not made of whole 512-byte pages`,
    );
  }
}

/** As assertPages, and throws RangeError above the service's limit for one write. */
export function assertPageWrite(name: string, range: ByteRange): void {
  assertPages(name, range);
  if (range.lengthBytes > pageWriteLimitBytes) {
    throw new RangeError(
      `${name}: a write of ${range.lengthBytes} bytes is over the limit of ${pageWriteLimitBytes}`,
    );
  }
}

/** True when the range ends inside a blob of this size. */
export function isWithin(range: ByteRange, sizeBytes: number): boolean {
  return range.offsetBytes + range.lengthBytes <= sizeBytes;
}

/** Throws RangeError unless the range has whole, non-negative numbers and ends within the blob. */
export function assertWithin(name: string, range: ByteRange, sizeBytes: number): void {
  const { offsetBytes, lengthBytes } = range;
  if (!isOffset(offsetBytes) || !isOffset(lengthBytes) || !isWithin(range, sizeBytes)) {
    throw new RangeError(`${name}: [${offsetBytes}, ${offsetBytes + lengthBytes}) of ${sizeBytes} bytes`);
  }
}

/** Joins adjacent ranges of an ascending, disjoint list, and cuts them to the window. */
export function joinRanges(ranges: Iterable<ByteRange>, window: ByteRange): ByteRange[] {
  const windowEnd = window.offsetBytes + window.lengthBytes;
  const joined: ByteRange[] = [];
  for (const range of ranges) {
    const start = Math.max(range.offsetBytes, window.offsetBytes);
    const end = Math.min(range.offsetBytes + range.lengthBytes, windowEnd);
    if (start >= end) continue;
    const last = joined.at(-1);
    if (last !== undefined && last.offsetBytes + last.lengthBytes === start) {
      last.lengthBytes += end - start;
    } else {
      joined.push({ offsetBytes: start, lengthBytes: end - start });
    }
  }
  return joined;
}

function isOffset(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
