// Scrub: the proof that a recovery point equals the disk at its moment, without shipping anything. The source publishes the
// digests of the frozen view that it cut the cycle from; the service computes them over the snapshot of the point.
import * as z from 'zod';
import type { BlobPort } from '../storage/ports.ts';
import { compareManifests } from './compareManifests.ts';
import { readGeneration } from './manifests.ts';
import type { DigestScope } from './names.ts';

/** Ranges that a verdict names; what is longer is counted, not listed, so that a row can hold it. */
const maxVerdictRanges = 64;

/** Lower-case hex of a SHA-256. */
const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);

/** What a scrub of one disk found; goes onto the recovery point. */
export const scrubVerdict = z.object({
  verdict: z.enum(['equal', 'different']),
  verifiedAt: z.iso.datetime(),
  /** Of the snapshot, as the service read it. */
  rootDigest: sha256Hex,
  /** Of the frozen source, as the source published it; the same when the verdict is `equal`. */
  sourceRootDigest: sha256Hex,
  /** Of 256 KiB. */
  blocksCompared: z.number(),
  differingBlocks: z.number(),
  /** Bytes of the disk, in whole blocks, ascending; at most 64. */
  differingRanges: z.array(z.object({ offsetBytes: z.number(), lengthBytes: z.number() })),
  /** True when more ranges differ than are listed. */
  isTruncated: z.boolean(),
});
export type ScrubVerdict = z.infer<typeof scrubVerdict>;

/**
 * Compares the two generations of a scrub. Changes nothing; may be called again. Throws `DigestsMissing` while one of them
 * is incomplete, `DigestsInvalid` and `DigestsForeign` for a manifest that cannot be compared.
 */
export async function judgeScrub(
  resync: BlobPort,
  scopes: { source: DigestScope; replica: DigestScope },
  diskSizeBytes: number,
  verifiedAt: Date,
): Promise<ScrubVerdict> {
  const replica = readGeneration(resync, scopes.replica, diskSizeBytes);
  const source = readGeneration(resync, scopes.source, diskSizeBytes);
  const { rootOfFirst, rootOfSecond, ...compared } = await compareManifests(
    diskSizeBytes,
    replica,
    source,
    maxVerdictRanges,
  );
  return {
    verdict: rootOfFirst === rootOfSecond && compared.differingBlocks === 0 ? 'equal' : 'different',
    verifiedAt: verifiedAt.toISOString(),
    rootDigest: rootOfFirst,
    sourceRootDigest: rootOfSecond,
    ...compared,
  };
}
