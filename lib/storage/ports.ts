// The contracts between the product and what keeps its bytes. lib/storage/memory and lib/storage/azure implement
// them; test/contract holds both to the same suite. Every method throws LifeboatError only: `StorageUnavailable`
// when the service did not answer or refused because of load, `StorageDenied` when it refused the credentials,
// and the codes that each method names.

/** A half-open range [offsetBytes, offsetBytes + lengthBytes). */
export interface ByteRange {
  offsetBytes: number;
  lengthBytes: number;
}

/** What a writer of a leased page blob must show; the service compares both before it changes a byte. */
export interface Fence {
  /** Id of the lease that holds the blob. */
  leaseId: string;
  /** The blob's sequence number as this writer raised it (x-ms-if-sequence-number-eq). */
  sequenceNumber: number;
}

export interface PageBlobInfo {
  sizeBytes: number;
  sequenceNumber: number;
  isLeased: boolean;
}

export interface SnapshotInfo {
  /** The service's snapshot timestamp; unique within the blob. */
  id: string;
  metadata: Readonly<Record<string, string>>;
}

/** Bytes of one version of a block blob in the same account: where copied pages come from. */
export interface PageCopySource {
  container: string;
  name: string;
  etag: string;
  /** Where the bytes begin in the blob. */
  offsetBytes: number;
}

/** Bytes of a snapshot of a page blob in the same account. A snapshot never changes, so it has no version to name. */
export interface SnapshotCopySource {
  container: string;
  name: string;
  snapshotId: string;
  /** Where the bytes begin in the snapshot; pages that were never written are zeros. */
  offsetBytes: number;
}

/**
 * Fills the range with bytes of `source` inside the service: they do not travel through this process. The range has
 * the limits and the fence of `writePages`, and a copy fails as a write does; besides, `LogChanged` when the source is
 * another version by now, `BlobNotFound` (some services: `LogChanged`) when it is gone. Resolves to false, with nothing changed, when the service does
 * not offer it: carry the bytes.
 */
export type PageCopy = (
  name: string,
  range: ByteRange,
  source: PageCopySource | SnapshotCopySource,
  fence?: Fence,
) => Promise<boolean>;

/** Largest single page write of the service. */
export const pageWriteLimitBytes = 4 * 1024 * 1024;
export const pageSizeBytes = 512;

/**
 * The page blobs of one container (`replicas`, `recovered`). Offsets and lengths of writes are multiples of 512,
 * one write has at most 4 MiB, and nothing may reach past the blob's size: adapters check this themselves (RangeError)
 * because emulators do not. Methods on a blob that does not exist throw `BlobNotFound`.
 * A write without fence is refused with `ReplicaLeaseLost` while the blob is leased; a write whose lease id is not the
 * blob's throws `ReplicaLeaseLost`; a write whose sequence number is not the blob's throws `FenceLost`. A refused write
 * changes nothing. A write that throws `StorageUnavailable` may or may not have happened, and may happen later.
 */
export interface PageBlobPort {
  /** Makes a blob of zeros with sequence number 0. Throws `BlobExists`. */
  create(name: string, sizeBytes: number): Promise<void>;
  find(name: string): Promise<PageBlobInfo | undefined>;
  /** Names of all page blobs that begin with the prefix, ascending; other kinds of blobs are left out. */
  listNames(prefix: string): AsyncIterable<string>;
  /** Reads from the blob, or from one of its snapshots. Any length; the adapter splits. */
  read(name: string, range: ByteRange, snapshotId?: string): Promise<Uint8Array>;
  /** Ranges inside `window` that were ever written and not cleared: ascending, disjoint, adjacent ones joined. */
  listRanges(name: string, window: ByteRange, snapshotId?: string): Promise<ByteRange[]>;
  writePages(name: string, offsetBytes: number, data: Uint8Array, fence?: Fence): Promise<void>;
  /** Makes the range read as zeros. Any multiple of 512 in length. */
  clearPages(name: string, range: ByteRange, fence?: Fence): Promise<void>;
  /** Undefined where the service cannot copy, and for a while after a call that showed that it does not or whose outcome is unknown. Ask anew for every merge. */
  readonly copyPages?: PageCopy | undefined;
  /** Takes an infinite lease under this id. Again with the same id: no change. Held under another id: `ReplicaLeaseLost`. */
  holdLease(name: string, leaseId: string): Promise<void>;
  /** Gives the lease back. A blob that is not leased, or is gone: no change. */
  releaseLease(name: string, leaseId: string): Promise<void>;
  /** Adds one to the sequence number and returns it. From then on writes with an older fence fail. */
  raiseSequenceNumber(name: string, leaseId: string): Promise<number>;
  /** Makes the blob longer; the new bytes are zeros, the sequence number stays. As long or longer already: no change. */
  grow(name: string, sizeBytes: number, leaseId: string): Promise<void>;
  /** Makes a snapshot with this metadata (keys in lower case) and returns its id, unique within the blob. */
  snapshot(name: string, metadata: Readonly<Record<string, string>>): Promise<string>;
  listSnapshots(name: string): Promise<SnapshotInfo[]>;
  /** A snapshot that does not exist: no change. */
  deleteSnapshot(name: string, snapshotId: string): Promise<void>;
  /** Deletes the blob and all its snapshots; the lease id is needed while it is leased. A blob that is gone: no change. */
  delete(name: string, leaseId?: string): Promise<void>;
}

export interface BlobInfo {
  name: string;
  sizeBytes: number;
  etag: string;
  /** Keys in lower case. */
  metadata: Readonly<Record<string, string>>;
  lastModified: Date;
}

/** The block blobs of one container (`deltas`, `quarantine`, …). */
export interface BlobPort {
  /** All blobs whose name begins with the prefix, ascending by name. */
  list(prefix: string): AsyncIterable<BlobInfo>;
  find(name: string): Promise<BlobInfo | undefined>;
  /** Reads a range of the version that `etag` names. `LogChanged` when the blob is another by now, `BlobNotFound` when gone. */
  read(name: string, range: ByteRange, etag: string): Promise<Uint8Array>;
  /** Writes the whole blob, replacing any. */
  put(name: string, data: Uint8Array, metadata?: Readonly<Record<string, string>>): Promise<void>;
  /** Deletes that version. `LogChanged` when the blob is another by now; a blob that is gone: no change. */
  delete(name: string, etag: string): Promise<void>;
  /**
   * Copies that version of the blob into another container of the same account under the same name, replacing any,
   * with the given metadata added to its own. Returns when the copy is complete. May be called twice.
   */
  copyTo(
    name: string,
    etag: string,
    container: string,
    metadata: Readonly<Record<string, string>>,
  ): Promise<void>;
}

/** A lock that is held until released, or lost. */
export interface Lock {
  /** Aborts when the lock could not be renewed in time: stop working. Fences make late writes harmless anyway. */
  readonly lost: AbortSignal;
  /** May be called twice. */
  release(): Promise<void>;
}

/** Named locks, each held by one process at a time; a crashed holder's lock frees itself within 15 s. */
export interface LockPort {
  /** The lock, or undefined while someone else holds it. Does not wait. */
  tryAcquire(name: string): Promise<Lock | undefined>;
}

/** One row of state: a JSON document under (partition, row key). */
export interface Row {
  key: string;
  /** Plain JSON; at most 500 KiB as text. */
  value: unknown;
  etag: string;
}

/** One write of a transaction. `replace` and `delete` need the ETag that was read. */
export type RowWrite =
  | { kind: 'insert'; key: string; value: unknown }
  | { kind: 'replace'; key: string; value: unknown; etag: string }
  | { kind: 'put'; key: string; value: unknown }
  | { kind: 'delete'; key: string; etag: string };

/** Keys in [from, to), ascending; omitted = unbounded. */
export interface KeyRange {
  from?: string;
  to?: string;
  /** Ends after this many rows. */
  limit?: number;
}

/**
 * One table. Partition and row keys have 1 to 512 characters, none of / \ # ? or control characters.
 * Reads are of committed rows.
 */
export interface TablePort {
  find(partition: string, key: string): Promise<Row | undefined>;
  /** Rows of one partition in ascending key order. */
  list(partition: string, range?: KeyRange): AsyncIterable<Row>;
  /**
   * 1 to 100 writes to different rows of one partition, all or none. `PreconditionFailed` when an inserted row exists, or
   * a replaced or deleted row changed or is gone. `put` always writes. When it throws `StorageUnavailable` the outcome is unknown.
   */
  transact(partition: string, writes: readonly RowWrite[]): Promise<void>;
}

/** Everything the product stores, as one bundle that the edge builds once. */
export interface Storage {
  replicas: PageBlobPort;
  deltas: BlobPort;
  quarantine: BlobPort;
  /** Digest manifests of replicas and of frozen sources, for resynchronization and scrub. */
  resync: BlobPort;
  /** Disks that failovers made from recovery points: `<item>/<job>/<disk>.vhd`. */
  recovered: PageBlobPort;
  /** What lies beside these disks in the same container, such as the template that makes a machine of them. */
  recoveredFiles: BlobPort;
  /** Reports of failovers and drills; they outlive the disks. */
  evidence: BlobPort;
  locks: LockPort;
  /** One partition per item: the item, its disks, cycles and recovery points, so that a cycle commits as one transaction. */
  items: TablePort;
  /** Jobs. */
  jobs: TablePort;
  /** Machines and disks that source hosts reported, a partition per site. */
  inventory: TablePort;
  /** Fabrics, policies and mappings, a partition per kind. */
  vault: TablePort;
  /** Who may call: registration keys, hosts, used assertions, answers to repeated requests, the audit. */
  access: TablePort;
}

/** Signs upload URLs for source hosts. */
export interface UploadSigner {
  /** A URL that may write pages of this replica, until the time given. */
  replicaWriteUrl(blobName: string, expiresAt: Date): Promise<string>;
  /** A URL that may read this snapshot of the replica, and nothing else. */
  recoveryPointReadUrl(blobName: string, snapshotId: string, expiresAt: Date): Promise<string>;
  /** A URL that may create this log once, and nothing else. */
  deltaCreateUrl(blobName: string, expiresAt: Date): Promise<string>;
  /**
   * A URL that may write this log, in blocks that are sent at the same time and committed once. The service has no narrower
   * permission for blocks: it may replace the log too, which whoever merges it notices by its ETag and digest.
   */
  deltaWriteUrl(blobName: string, expiresAt: Date): Promise<string>;
}
