// Which unchanged bytes are worth sending. A page blob takes so many requests and so many bytes a second: a gap that is shorter
// than what passes in the time of one request is cheaper written than left out. What is sent more than needed stays bounded.
import type { ByteRange } from '../../lib/storage/ports.ts';

/** 60 MiB/s by 500 requests/s: what one request of a page blob is worth. */
const gapWorthBytes = Math.floor((60 * 1024 * 1024) / 500);

/**
 * Joins extents (ascending, disjoint) over short gaps, the shortest first, until the gaps are `budgetRatio` of what changed. By
 * default a little less than a tenth: with the metadata of its log a cycle ships at most 1.1 times what changed.
 * The result covers the extents, is ascending and disjoint, and has no adjacent ones where the input has none.
 */
export function joinGaps(extents: readonly ByteRange[], budgetRatio = 0.095): ByteRange[] {
  const changedBytes = extents.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
  let budgetBytes = Math.floor(changedBytes * budgetRatio);
  const gaps: { index: number; lengthBytes: number }[] = [];
  for (let index = 1; index < extents.length; index++) {
    const before = extents[index - 1] ?? { offsetBytes: 0, lengthBytes: 0 };
    const lengthBytes = (extents[index]?.offsetBytes ?? 0) - before.offsetBytes - before.lengthBytes;
    if (lengthBytes <= gapWorthBytes) gaps.push({ index, lengthBytes });
  }
  gaps.sort((a, b) => a.lengthBytes - b.lengthBytes || a.index - b.index);
  const joined = new Set<number>();
  for (const { index, lengthBytes } of gaps) {
    if (lengthBytes > budgetBytes) break;
    budgetBytes -= lengthBytes;
    joined.add(index);
  }
  const result: ByteRange[] = [];
  for (const [index, { offsetBytes, lengthBytes }] of extents.entries()) {
    const last = result.at(-1);
    if (last && joined.has(index)) last.lengthBytes = offsetBytes + lengthBytes - last.offsetBytes;
    else result.push({ offsetBytes, lengthBytes });
  }
  return result;
}
