// Manifests in storage: one blob a segment. They are derived data: writing one again gives the same bytes, and losing one
// costs the time to compute it again.
import { isLifeboatError, LifeboatError } from '../errors.ts';
import type { BlobPort } from '../storage/ports.ts';
import { segmentCount } from './blocks.ts';
import { encodeCoarse, parseCoarse, type CoarseSubject } from './digestFormat.ts';
import { manifestName, manifestPrefix, type DigestScope, type ManifestScope } from './names.ts';

const manifestsAhead = 8;
const readTries = 5;

/** Writes the manifest of a segment. May be called twice. */
export async function putManifest(
  resync: BlobPort,
  subject: CoarseSubject,
  digests: Uint8Array,
): Promise<void> {
  await resync.put(manifestName(subject.scope, subject.segment), encodeCoarse(subject, digests));
}

/**
 * Takes a manifest that a source sends, and stores it once it is proved to be what the subject says. Throws `DigestsInvalid`
 * or `DigestsForeign`; nothing is stored then. May be called twice.
 */
export async function acceptManifest(
  resync: BlobPort,
  subject: CoarseSubject,
  manifest: Uint8Array,
): Promise<void> {
  await putManifest(resync, subject, parseCoarse(manifest, subject));
}

/** The bytes of a manifest as they are stored, or undefined while there is none. Does not look inside. */
export async function findManifest(
  resync: BlobPort,
  { scope, segment }: Pick<CoarseSubject, 'scope' | 'segment'>,
): Promise<Uint8Array | undefined> {
  const name = manifestName(scope, segment);
  for (let tries = 1; ; tries++) {
    const blob = await resync.find(name);
    if (blob === undefined) return undefined;
    try {
      return await resync.read(name, { offsetBytes: 0, lengthBytes: blob.sizeBytes }, blob.etag);
    } catch (error) {
      // A second worker wrote the same bytes again, or the generation was deleted: look again.
      const isRace = isLifeboatError(error, 'LogChanged', 'BlobNotFound');
      if (!isRace || tries >= readTries) throw error;
    }
  }
}

/** The digests of a segment. Throws `DigestsMissing`, `DigestsInvalid`, `DigestsForeign`. */
export async function getManifest(resync: BlobPort, subject: CoarseSubject): Promise<Uint8Array> {
  const manifest = await findManifest(resync, subject);
  if (manifest !== undefined) return parseCoarse(manifest, subject);
  const name = manifestName(subject.scope, subject.segment);
  throw new LifeboatError('DigestsMissing', `There is no digest manifest ${name}.`, { target: name });
}

/** The digests of every segment of a generation, in order; a few are read ahead. Throws as `getManifest`. */
export async function* readGeneration(
  resync: BlobPort,
  scope: DigestScope,
  diskSizeBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const segments = segmentCount(diskSizeBytes);
  const ahead: Promise<Uint8Array>[] = [];
  try {
    for (let segment = 0; segment < segments || ahead.length > 0;) {
      while (segment < segments && ahead.length < manifestsAhead) {
        const reading = getManifest(resync, { scope, diskSizeBytes, segment: segment++ });
        // Thrown when its turn comes, not as unhandled before.
        reading.catch(() => undefined);
        ahead.push(reading);
      }
      const next = ahead.shift();
      if (next !== undefined) yield await next;
    }
  } finally {
    await Promise.allSettled(ahead);
  }
}

/** Deletes the manifests of an item, a disk or a generation. What is gone already: no change. May be called twice. */
export async function deleteManifests(resync: BlobPort, scope: ManifestScope): Promise<void> {
  for await (const { name, etag } of resync.list(manifestPrefix(scope))) {
    await deleteBlob(resync, name, etag);
  }
}

async function deleteBlob(resync: BlobPort, name: string, etag: string): Promise<void> {
  let current: string | undefined = etag;
  for (let tries = 1; current !== undefined; tries++) {
    try {
      await resync.delete(name, current);
      return;
    } catch (error) {
      if (!isLifeboatError(error, 'LogChanged') || tries >= readTries) throw error;
      current = (await resync.find(name))?.etag;
    }
  }
}
