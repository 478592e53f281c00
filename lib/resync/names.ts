// Blob names of the public contract: resync/<item>/<disk>/<generation>/coarse-<segment>.bin. A generation is one
// comparison of one disk; its name is never used again.
import { LifeboatError } from '../errors.ts';
import { requireIdentifier } from '../replication/names.ts';

/** What a set of digests is of. */
export interface DigestScope {
  item: string;
  disk: string;
  generation: string;
}

/** Narrower scopes need the wider ones: a disk its item, a generation its disk. */
export type ManifestScope = { item: string } | { item: string; disk: string } | DigestScope;

/** Blobs of the item, of one of its disks, or of one generation, by their common beginning. Throws `InvalidName`. */
export function manifestPrefix(scope: ManifestScope): string {
  const parts = [requireIdentifier(scope.item, 'item')];
  if ('disk' in scope) parts.push(requireIdentifier(scope.disk, 'disk'));
  if ('generation' in scope) parts.push(requireIdentifier(scope.generation, 'generation'));
  return `${parts.join('/')}/`;
}

/** Name of the manifest with the coarse digests of a segment. Throws `InvalidName`. */
export function manifestName(scope: DigestScope, segment: number): string {
  return `${manifestPrefix(scope)}coarse-${String(segment).padStart(12, '0')}.bin`;
}

/** Digests of the recovery point that a failback brings home: they travel and are never stored. */
export const failbackScope = (item: string, disk: string, cycle: number): DigestScope => ({
  ...{ item, disk, generation: `failback-${cycle}` },
});

/** Longest id of a scrub, so that its generations are valid names. */
const longestScrubId = 48;

/** The two generations of a scrub: what the source says of its frozen view, and what the service finds in the snapshot. */
export function scrubScopes(
  item: string,
  disk: string,
  scrubId: string,
): { source: DigestScope; replica: DigestScope } {
  if (scrubId.length > longestScrubId) {
    throw new LifeboatError('InvalidName', `A scrub id has at most ${longestScrubId} characters.`, {
      target: 'scrubId',
    });
  }
  const id = requireIdentifier(scrubId, 'scrubId');
  return {
    source: { item, disk, generation: `scrub-${id}` },
    replica: { item, disk, generation: `scrubbed-${id}` },
  };
}
