// Every error the product can name, in one catalogue: what kind it is (which decides the reaction), which HTTP
// status it has, and what an administrator reads about causes and remedies. Codes are facts and never change.

/**
 * How the product reacts: `invalid` = the caller's fault, never retried; `transient` = tried again;
 * `divergent` = the replica may no longer equal the source, resync required; `fatal` = an administrator acts.
 */
export type ErrorKind = 'invalid' | 'transient' | 'divergent' | 'fatal';

interface CatalogueEntry {
  kind: ErrorKind;
  httpStatus: number;
  possibleCauses: string;
  recommendedAction: string;
}

const entry = (
  kind: ErrorKind,
  httpStatus: number,
  possibleCauses: string,
  recommendedAction: string,
): CatalogueEntry => ({ kind, httpStatus, possibleCauses, recommendedAction });

const sendAgain =
  'Upload a correct log under the same name. The refused file is kept in the container "quarantine".';
const damaged = 'The file was damaged on its way, or was not written by a correct [MS-HRL] writer.';

/** The catalogue. `docs/errors.md` lists the same rows. */
export const errorCatalogue = {
  Unauthorized: entry(
    'invalid',
    401,
    'The Authorization header is missing or carries another key.',
    'Send "Authorization: Bearer <key>"; the local key is adminKey in local.json.',
  ),
  ResourceNotFound: entry(
    'invalid',
    404,
    'The name is wrong, or the resource was not created or was removed.',
    'List the parent collection to see what exists.',
  ),
  MethodNotAllowed: entry(
    'invalid',
    405,
    'The resource exists but does not know this verb.',
    'See docs/api.md for the verbs of each resource.',
  ),
  Forbidden: entry(
    'invalid',
    403,
    'The caller is known, but its role or its identity does not allow this.',
    'Ask an Owner of the vault for the role that the message names; a host may touch the machines of its own inventory only.',
  ),
  RegistrationRefused: entry(
    'invalid',
    401,
    'The registration key is wrong, was used already, expired (5 days) or was revoked.',
    'Make a new registration key for the site and register the host with it.',
  ),
  ConditionNotMet: entry(
    'invalid',
    412,
    'The resource changed since the ETag of If-Match was read, or does not exist.',
    'Read the resource again, and repeat the request with its ETag if it still makes sense.',
  ),
  RequestTooLarge: entry(
    'invalid',
    413,
    'The body is larger or nested deeper than a request of this API can be.',
    'Send a smaller body; the message names the limit.',
  ),
  TooManyRequests: entry(
    'transient',
    429,
    'The caller sent more requests in a short time than its share.',
    'Wait as long as Retry-After says, then send the request again.',
  ),
  ScenarioUnsupported: entry(
    'invalid',
    400,
    'The operation belongs to VMware, physical machines or Azure-to-Azure; this service replicates Hyper-V to Azure.',
    'Use the operation that the message names instead, if it names one.',
  ),
  NotAvailable: entry(
    'invalid',
    501,
    'This version of the service knows the operation but cannot perform it.',
    'See docs/api-coverage.md for what this version performs.',
  ),
  InvalidRequest: entry(
    'invalid',
    400,
    'A field is missing, has the wrong type or an impossible value.',
    'Correct the named field and send the request again.',
  ),
  InvalidName: entry(
    'invalid',
    400,
    'The name has characters or a length that blob names and ids cannot carry.',
    'Use 1 to 64 characters of a-z, 0-9 and "-".',
  ),
  OperationNotSupportedInState: entry(
    'invalid',
    409,
    'The resource is in a state that does not allow the operation.',
    'Look at allowedOperations of the resource, and at its current job.',
  ),
  ItemBusy: entry(
    'invalid',
    409,
    'Another job is running on the protected item.',
    'Wait for the named job to end, then send the request again.',
  ),
  ConcurrentUpdate: entry(
    'transient',
    409,
    'The resource changed while this request was being processed.',
    'Send the request again.',
  ),
  DiskUnsupported: entry(
    'invalid',
    400,
    'A disk is too large for a page blob (8 TiB), empty, or not a multiple of 512 bytes.',
    'Exclude the disk (disksToInclude), or shrink it.',
  ),
  TargetInvalid: entry(
    'invalid',
    400,
    'A name or id of the machine that a failover will make is not allowed in Azure, or is taken.',
    'Correct the named field with an update of the protected item, or in the request to protect it; then restart the job.',
  ),
  RpoExceeded: entry(
    'transient',
    409,
    'The source sends more slowly than it changes, or does not send; or merging is behind.',
    'Look at pending bytes and at the retry state of the item; check the bandwidth and the source host.',
  ),
  ReplicationStalled: entry(
    'transient',
    409,
    'The source host is off, cannot reach the service, or its agent has stopped.',
    'Check the agent on the source host and its way to the service.',
  ),
  CyclesMissed: entry(
    'transient',
    409,
    'More than 20 % of the cycles that the policy asks for were not completed in the monitoring interval.',
    'Compare the average latency with the replication interval; choose a longer interval or more bandwidth.',
  ),
  ReplicationPaused: entry(
    'transient',
    409,
    'An administrator paused the replication of the item.',
    'Resume replication; the source then sends what changed meanwhile.',
  ),
  ReplicationRetrying: entry(
    'transient',
    409,
    'The last attempt failed for a reason that can pass.',
    'Nothing to do: it is tried again at the time shown. If it stays, mend the cause that the message names.',
  ),
  ReplicationSuspended: entry(
    'fatal',
    409,
    'Replication failed for a reason that does not pass by itself.',
    'Mend the cause that the message names, then resume replication of the item.',
  ),
  ResyncRequired: entry(
    'divergent',
    409,
    'Changes of the disk are missing, or the replica was found to differ.',
    'Nothing to do: it runs in the resync window of the policy. To have it now, repair replication of the item.',
  ),
  InitialReplicationStalled: entry(
    'transient',
    409,
    'The source stopped copying the disk.',
    'Check the agent on the source host; copying goes on where it stopped.',
  ),
  ProtectionFailed: entry(
    'fatal',
    409,
    'A job on the item failed and left it between two states.',
    'Look at the errors of the job, mend the cause, and restart the job, or disable protection.',
  ),
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
  LogNotHrl: entry('invalid', 400, 'The file is not a Hyper-V Replica Log.', sendAgain),
  LogVersionUnsupported: entry('invalid', 400, 'The log has a format version other than 1 or 2.', sendAgain),
  LogNotClosed: entry(
    'invalid',
    400,
    'The log was uploaded while its writer still had it open (EOLLocation is 0).',
    'Upload the log after it was closed, under the same name.',
  ),
  LogTruncated: entry('invalid', 400, 'The upload ended early, or the file was cut.', sendAgain),
  LogHeaderCorrupt: entry('invalid', 400, damaged, sendAgain),
  LogMetadataCorrupt: entry('invalid', 400, damaged, sendAgain),
  LogEntryCorrupt: entry('invalid', 400, damaged, sendAgain),
  LogDataCorrupt: entry('invalid', 400, damaged, sendAgain),
  LogTooLarge: entry(
    'invalid',
    400,
    'The log has more than 16 Mi write entries or 1 Mi metadata blocks.',
    'Cut logs more often, or join neighbouring writes into one entry.',
  ),
  LogEntryUnaligned: entry('invalid', 400, 'A write entry is not a multiple of 512 bytes.', sendAgain),
  LogEntryOutOfBounds: entry(
    'invalid',
    400,
    'The log belongs to another disk, or the disk grew on the source.',
    'Check the disk id in the blob name; for a grown disk protect the item again.',
  ),
  LogDigestMismatch: entry(
    'invalid',
    400,
    'The bytes that arrived are not the bytes that the sender hashed.',
    sendAgain,
  ),
  LogChainBroken: entry(
    'divergent',
    409,
    'A log between the last applied one and this one is missing, or it belongs to another chain.',
    'Upload the log that follows the last applied one. If it is lost, resynchronize the item.',
  ),
  LogConflict: entry(
    'invalid',
    409,
    'A different log was uploaded under the name of a cycle that is already applied.',
    'Give every cycle a new number. The recovery point of that cycle is unchanged.',
  ),
  LogUnexpected: entry(
    'invalid',
    409,
    'The name has a disk that the item does not protect, or is not <item>/<cycle>/<disk>.hrl with 12 digits.',
    'Check the name against GET /agent/v1/assignments.',
  ),
  LogChanged: entry(
    'transient',
    409,
    'The log was uploaded again while it was being read.',
    'Nothing to do: it is read again.',
  ),
  LogsMissing: entry(
    'transient',
    409,
    'Logs of a later cycle arrived, but a log before them did not.',
    'Upload the named logs; the later cycles wait for them.',
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
  DiskNotProtected: entry(
    'invalid',
    404,
    'The disk is not one of the protected disks of the item.',
    'GET /agent/v1/assignments lists items and disks.',
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
  RecoveryPointMissing: entry(
    'invalid',
    409,
    'The recovery point was pruned, or its snapshot was deleted from the container "replicas".',
    'Choose another recovery point of the item; GET …/recoveryPoints lists them.',
  ),
  RecoveryDiskMismatch: entry(
    'transient',
    500,
    'The disk that was made from a recovery point did not hold the bytes of the snapshot when both were compared.',
    'Nothing to do: it is made again. If it stays, the storage account returns wrong bytes, or somebody writes to the container "recovered".',
  ),
  FailoverNotReady: entry(
    'invalid',
    409,
    'The settings of the protected item would make the failover fail.',
    'Correct what the message names (compute and network settings of the item), and run it again.',
  ),
  TestFailoverDue: entry(
    'invalid',
    409,
    'Nobody has tried for half a year whether the machine would come up.',
    'Run a test failover, or schedule drills for the item.',
  ),
  FinalCycleMissing: entry(
    'invalid',
    409,
    'The source shut down, but the recovery point of its last cycle could not be recorded.',
    'Look at the health of the item; run the planned failover again, or an unplanned one to the newest recovery point.',
  ),
  DrillFailed: entry(
    'invalid',
    409,
    'The machine of the drill did not show what it had to within the time limit.',
    'Read the report and the console of the job in the container "evidence".',
  ),
  RecoveryDiskMissing: entry(
    'fatal',
    409,
    'A disk that a failover made was deleted from the container "recovered".',
    'Run the failover again; the recovery point still has the bytes.',
  ),
  ComputeUnavailable: entry(
    'transient',
    503,
    'The place where the machine is made did not answer, or refused because of load or a running operation.',
    'Nothing to do: it is tried again. If it stays, check the service health of the target.',
  ),
  ComputeDenied: entry(
    'fatal',
    500,
    'The app may not make machines in the target: its identity lacks a role, or a policy forbids it.',
    'Give the identity of the app the roles of docs/recovery.md on the resource group of the target.',
  ),
  ComputeFailed: entry(
    'invalid',
    409,
    'The target refused what was asked: quota, size, region, or a setting of the protected item.',
    'Read the message of the target, correct the compute and network settings of the item, and run it again.',
  ),
  TargetNameTaken: entry(
    'invalid',
    409,
    'A machine or disk of that name exists at the target and belongs to somebody else.',
    'Delete or rename it, or give the protected item another target name.',
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
  BrokenVhdChain: entry(
    'fatal',
    409,
    'A differencing disk of the machine names a parent that is missing or was changed.',
    'Repair the chain on the source host (reconnect or restore the parent disk), then resume replication.',
  ),
  InvalidReplicaState: entry(
    'fatal',
    409,
    'The host reports a replication relationship that contradicts the service (removed, reversed or restored on the host).',
    'Compare the state on the host with the protected item; disable and enable protection if they cannot be reconciled.',
  ),
  NetworkAuthenticationFailed: entry(
    'fatal',
    401,
    'A proxy or firewall between source and service refused the connection, or broke its TLS certificate chain.',
    'Check the proxy credentials and the trusted certificates on the source host, then resume replication.',
  ),
  AuthenticationFailed: entry(
    'fatal',
    401,
    'The credentials of the source host are wrong, expired or were revoked.',
    'Register the source host again, then resume replication.',
  ),
  VmNotFound: entry(
    'fatal',
    404,
    'The machine was removed from the source host, or moved to a host that does not report to this site.',
    'Move it back or register its new host, then resume replication; otherwise disable protection of the item.',
  ),
  NetworkUnavailable: entry(
    'transient',
    503,
    'The source host cannot reach the service or its storage: no route, no name resolution, or a closed port 443.',
    'Nothing to do: it is tried again. If it stays, check the network, proxy and firewall of the source host.',
  ),
  LowDiskSpace: entry(
    'transient',
    507,
    'A volume of the source host has too little space for a checkpoint or for the log of changes.',
    'Free or add space on the named volume; replication goes on by itself.',
  ),
  LowMemory: entry(
    'transient',
    503,
    'The source host has too little memory to read the changes.',
    'Nothing to do: it is tried again. If it stays, give the host more memory or replicate less at once.',
  ),
  SourceBusy: entry(
    'transient',
    409,
    'Another operation holds the machine on its host: a backup, a merge of checkpoints, a migration.',
    'Nothing to do: it is tried again when the other operation has ended.',
  ),
  SourceReadFailed: entry(
    'transient',
    500,
    'The source host could not read a disk of the machine.',
    'Nothing to do: it is tried again. If it stays, check the storage of the source host.',
  ),
  SnapshotFailed: entry(
    'transient',
    500,
    'The source host could not take or release a checkpoint of the machine.',
    'Nothing to do: it is tried again. If it stays, look at the event log of the host and at leftover checkpoints.',
  ),
  VssWriterFailed: entry(
    'transient',
    500,
    'A VSS writer in the guest failed or timed out, so that no application-consistent point was taken.',
    'Run "vssadmin list writers" in the guest and restart the service of the failed writer. Crash-consistent points go on.',
  ),
  GuestServicesUnavailable: entry(
    'transient',
    503,
    'The integration services or the guest agent do not answer, so that no application-consistent point was taken.',
    'Start or update them in the guest. Crash-consistent points go on.',
  ),
  TrackingLost: entry(
    'divergent',
    409,
    'The record of changes was lost or not closed cleanly: the host crashed, or could not write its log.',
    'Nothing to do: the item is resynchronized in the off-hours window. Start a resynchronization to have it sooner.',
  ),
  DiskChangedOffline: entry(
    'divergent',
    409,
    'A disk was changed while nothing recorded its changes (mounted, edited, or restored from a backup).',
    'Nothing to do: the item is resynchronized in the off-hours window. Start a resynchronization to have it sooner.',
  ),
  DiskImageCorrupt: entry(
    'fatal',
    409,
    'The image file is truncated or damaged, or something else than the named format.',
    'Check the disk on its host (Test-VHD, qemu-img check) and repair or restore it; then resume replication.',
  ),
  DiskImageUnsupported: entry(
    'invalid',
    400,
    'The image has a format or a required feature that is not known here, or its name and its content disagree.',
    'Name the format, or convert the disk with qemu-img or Convert-VHD.',
  ),
  SourceUnavailable: entry(
    'transient',
    503,
    'The program that serves the disk (QEMU, qemu-nbd, an NBD server) is not running, ended, or does not answer.',
    'Start the machine or the server. It is tried again by itself.',
  ),
  SourceAnswerInvalid: entry(
    'fatal',
    502,
    'The server of the disk broke the NBD or QMP protocol, or lacks what is needed of it.',
    'Check that the address is that of the right server, and its version (QEMU 7.1 or later for live tracking).',
  ),
  TrackerBusy: entry(
    'invalid',
    409,
    'A cycle of this machine is still open.',
    'Confirm or abort it first; a second agent must not track the same machine.',
  ),
  StateFromNewerVersion: entry(
    'fatal',
    500,
    'A newer version of Lifeboat has written to this storage account, and an older one was deployed after it.',
    'Deploy the newer version again; nothing was changed.',
  ),
  InternalError: entry(
    'transient',
    500,
    'A defect in Lifeboat.',
    'Look at the log of the function app for the request id, and report it.',
  ),
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof errorCatalogue;

export interface LifeboatErrorOptions {
  cause?: unknown;
  /** What the error is about (blob name, field path): shown as ARM `target`. */
  target?: string;
}

/** The only error type that crosses a boundary of the product. */
export class LifeboatError extends Error {
  readonly code: ErrorCode;
  readonly target: string | undefined;

  constructor(code: ErrorCode, message: string, options: LifeboatErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'LifeboatError';
    this.code = code;
    this.target = options.target;
  }

  get kind(): ErrorKind {
    return errorCatalogue[this.code].kind;
  }
}

/** True when `error` is a LifeboatError, with that code if one is given. */
export function isLifeboatError(error: unknown, ...codes: ErrorCode[]): error is LifeboatError {
  return error instanceof LifeboatError && (codes.length === 0 || codes.includes(error.code));
}

/** An error as data: what orchestrations, jobs and health rows carry. */
export interface ErrorRecord {
  code: ErrorCode;
  message: string;
}

/** Turns anything thrown into data; an unknown throw becomes `InternalError` with its message. */
export function toErrorRecord(error: unknown): ErrorRecord {
  if (error instanceof LifeboatError) return { code: error.code, message: error.message };
  return { code: 'InternalError', message: error instanceof Error ? error.message : String(error) };
}

/** Throws an assertion error: an invariant of the product does not hold. Never for bad input. */
export function assertInvariant(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken: ${invariant}`);
}
