// Replicas, digests, and the storage that holds them.
import { entry } from './entry.ts';

export const replicasErrors = {
  ReplicaMissing: entry(
    'fatal',
    409,
    'The replica page blob was deleted.',
    'Disable and enable protection of the item; a new initial replication is needed.',
  ),
  ReplicaSizeMismatch: entry(
    'invalid',
    409,
    'A client created the page blob anew with another size, or the wrong disk was uploaded.',
    'Upload the disk again: disk bytes padded with zeros to 1 MiB, plus a 512-byte footer.',
  ),
  ReplicaRolledBack: entry(
    'divergent',
    409,
    'The storage account went back in time (restored, failed over, or an emulator that was killed).',
    'Resynchronize the item: the replica is older than the recorded cycle.',
  ),
  ReplicaVerifyFailed: entry(
    'transient',
    500,
    'The replica did not hold the bytes that were written to it when they were read back.',
    'Nothing to do: the cycle is merged again. If it stays, the storage account returns wrong bytes: open a support request.',
  ),
  ReplicaLeaseLost: entry(
    'transient',
    409,
    'Somebody else took or broke the lease of the replica page blob.',
    'Find out who writes to the container "replicas"; the next attempt takes the lease again.',
  ),
  FenceLost: entry(
    'transient',
    409,
    'Another worker began a newer attempt on the same item.',
    'Nothing to do: the newer attempt does the work.',
  ),
  DigestsInvalid: entry(
    'invalid',
    400,
    'The digest manifest was damaged, cut, or written by another version.',
    'Publish the manifest again; if the service made it, begin a new resynchronization.',
  ),
  DigestsForeign: entry(
    'invalid',
    409,
    'The digests are of another disk, another size of it, another generation or another part of it.',
    'Ask for the current generation of the disk and compare again.',
  ),
  DigestsMissing: entry(
    'transient',
    409,
    'A digest manifest of the generation is not written yet, or was deleted.',
    'Nothing to do while digests are being computed; otherwise begin a new resynchronization or scrub.',
  ),
  DigestRequestTooLarge: entry(
    'invalid',
    400,
    'The request names more blocks than one answer holds.',
    'Ask for at most 256 blocks of 256 KiB at a time.',
  ),
  ReplicaChanged: entry(
    'divergent',
    409,
    'Somebody raised the fence of the replica, to write it, while its digests were being computed.',
    'Nothing to do: the comparison begins again with a new generation.',
  ),
  BlobNotFound: entry(
    'invalid',
    404,
    'The blob was deleted or never uploaded.',
    'Upload it, or look for a newer one.',
  ),
  BlobExists: entry('invalid', 409, 'A blob of that name exists already.', 'Use another name.'),
  PreconditionFailed: entry(
    'transient',
    412,
    'Somebody else changed the row or blob in between.',
    'Read it again and repeat.',
  ),
  StorageUnavailable: entry(
    'transient',
    503,
    'The storage account did not answer, or refused because of load.',
    'Nothing to do: it is tried again. If it stays, check the account and the network.',
  ),
  StorageDenied: entry(
    'fatal',
    500,
    'The storage account refused the credentials.',
    'Check LIFEBOAT_STORAGE and the role assignments of the app.',
  ),
  InternalError: entry(
    'transient',
    500,
    'A defect in Lifeboat.',
    'Look at the log of the function app for the request id, and report it.',
  ),
};
