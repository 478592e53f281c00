// What every blob adapter checks about names and metadata, so that memory refuses what Azure would refuse.
import { LifeboatError } from '../errors.ts';

/** Throws `InvalidName` unless the service takes this as a blob name. An empty one would address the container. */
export function assertBlobName(name: string): void {
  if (name.length === 0 || name.length > 1024) {
    throw new LifeboatError(
      'InvalidName',
      `A blob name has 1 to 1024 characters; this one has ${name.length}.`,
      {
        target: name.slice(0, 64),
      },
    );
  }
}

/**
 * Throws `InvalidRequest` unless every entry can travel as an HTTP header of the service: keys are lower-case
 * identifiers (the service ignores case and an adapter would return another key than was given), values printable ASCII
 * without spaces at their ends.
 */
export function assertMetadata(blobName: string, metadata: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(metadata)) {
    if (!/^[a-z_][a-z0-9_]*$/.test(key)) {
      throw new LifeboatError(
        'InvalidRequest',
        `${blobName}: "${key}" is not a metadata key (a-z, 0-9 and _).`,
      );
    }
    if (!/^[\x20-\x7e]+$/.test(value) || value.trim() !== value) {
      const rule = 'printable ASCII, not empty, without spaces at the ends';
      throw new LifeboatError(
        'InvalidRequest',
        `${blobName}: the value of metadata "${key}" must be ${rule}.`,
      );
    }
  }
}
