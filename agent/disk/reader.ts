// What every kind of disk looks like to the rest of the agent: the bytes that a guest sees, whatever container or
// server they come from.
import type { RandomAccessSource } from '../../lib/disk/source.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';

/** Containers and servers that can be read. `vhd` and `vhdx` include differencing images with their parents. */
export const diskFormats = ['raw', 'vhd', 'vhdx', 'qcow2', 'nbd'] as const;
export type DiskFormat = (typeof diskFormats)[number];

/** A part of a disk. `zero` surely reads as zeros; `data` may hold anything, zeros too: it must be read. */
export interface DiskExtent extends ByteRange {
  kind: 'data' | 'zero';
}

/** One file of a chain, or the one server. */
export interface DiskChainLink {
  /** Absolute path of the file, or the URI of the server without secrets. */
  location: string;
  /** Format and variant in words: `vhdx differencing`. */
  variant: string;
  /** What the image says of itself: UniqueId of a VHD, DataWriteGuid of a VHDX; undefined where there is none. */
  imageId: string | undefined;
  /** What stays the same as long as the disk lives, whoever writes it, where `imageId` does not: VirtualDiskId of a VHDX. */
  diskId?: string | undefined;
}

/** A place in a file that is open. */
export interface FilePlace {
  fd: number;
  offsetBytes: number;
}

/** What this view of the disk is. */
export interface DiskIdentity {
  /**
   * Equal for two readers only if they show the same state of the same disk, as far as the container tells: any write
   * to a file of the chain changes it. A cursor into a view is valid under its id alone. Lower-case hex.
   */
  id: string;
  format: DiskFormat;
  /** The image itself first, its parent next, the base last. */
  chain: readonly DiskChainLink[];
}

/**
 * An open disk. Nothing here ever writes to the source or opens it for writing. Whatever can be found wrong with the
 * container and its chain was found when the reader was opened; later errors come from the file system or the server.
 */
export interface DiskReader extends RandomAccessSource, AsyncDisposable {
  /** Size of the disk as the guest sees it; a multiple of 512. */
  readonly sizeBytes: number;
  readonly identity: DiskIdentity;
  /** 512, or 4096 for disks that only take whole 4 KiB sectors (a fixed VHD cannot boot those). */
  readonly logicalSectorSizeBytes: number;
  /**
   * Exactly `lengthBytes` bytes at `offsetBytes`, at any alignment; RangeError past the end. Calls may run at the same
   * time; the array belongs to the caller. Throws LifeboatError or AgentError.
   */
  read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array>;
  /**
   * Where the range lies as it is in an open file, for threads that read by themselves; undefined where it does not. Good
   * until the reader is closed. A read of it that ends early or fails is made again with `read`, which says what is wrong.
   * RangeError past the end.
   */
  inFile?(range: ByteRange): Promise<FilePlace | undefined>;
  /**
   * What is known of the window without reading its data: ascending, disjoint, covering the window exactly, neighbours
   * of different kinds. At most one extent for each sector of the window: choose windows (1 GiB, say) for large disks.
   * RangeError for a window past the end. May run at the same time as reads.
   */
  allocation(window: ByteRange): Promise<DiskExtent[]>;
  /** Waits for reads in flight. May be called twice. */
  close(): Promise<void>;
}
