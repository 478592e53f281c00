// The contract between a failover and whatever makes a machine of its disks. Implementations: `vhd` (a template beside the
// disks, for people to deploy), `azure` (managed disks and a virtual machine), `qemu` (boots the disks on this computer).
//
// Every method is a look at what is there followed by the next step towards the goal. So it may be called again at any
// time: after a crash, twice at once, or after it is done, when it changes nothing. Names follow from the order alone, and
// everything carries the item and the job, so that what a dead attempt made is found. Methods throw LifeboatError:
// `ComputeUnavailable` (transient) when the provider did not answer or is busy, `ComputeDenied`, `ComputeFailed` and the
// codes that each method names when trying again does not help.

import type { ByteRange } from '../storage/ports.ts';

/** What everything of one failover is found by. */
export interface MachineRef {
  item: string;
  jobId: string;
}

export interface MachineDisk {
  /** The disk's id on the source; unique within the machine. */
  disk: string;
  type: 'OperatingSystem' | 'DataDisk';
  /** Place on the target's controller, from 0; of data disks only. */
  lun: number;
  /** A fixed VHD in the container `recovered`; nobody writes it while the machine is being made. */
  blobName: string;
  /** With its footer. */
  blobSizeBytes: number;
  /** What the disk is called at the target when the user chose a name. */
  targetName: string | null;
}

export interface MachineNic {
  /** The adapter's id on the source; unique within the machine. */
  nic: string;
  /** ARM id of the virtual network; null = none was chosen. */
  networkId: string | null;
  /** Name of the subnet in it. */
  subnet: string | null;
  /** null = the network assigns an address. */
  staticIp: string | null;
  isPrimary: boolean;
}

/** What the user chose for the target; null = the provider's default. */
export interface MachinePlacement {
  resourceGroupId: string | null;
  size: string | null;
  diskType: string | null;
  diskEncryptionSetId: string | null;
  availabilitySetId: string | null;
  zone: string | null;
  proximityPlacementGroupId: string | null;
  licenseType: string | null;
  tags: Readonly<Record<string, string>>;
}

/** One machine to be made. The same order must be given to every call of one job. */
export interface MachineOrder extends MachineRef {
  /** A test machine is isolated: it is called otherwise, and nothing from outside its network reaches it. */
  purpose: 'test' | 'failover';
  /** Valid as the name of an Azure virtual machine (azureNames.ts). */
  name: string;
  generation: '1' | '2';
  osType: 'Windows' | 'Linux' | 'Other';
  memoryMb: number;
  processors: number;
  /** The operating system disk first. */
  disks: readonly MachineDisk[];
  nics: readonly MachineNic[];
  placement: MachinePlacement;
}

/** Where a call got to. */
export type ComputeProgress =
  | { isDone: true }
  | {
      isDone: false;
      /** What is being waited for, as a person reads it. */
      waitingFor: string;
      /** When a further call makes sense. */
      retryAfterSeconds: number;
    };

export const computeDone: ComputeProgress = { isDone: true };

/** `unknown`: the provider cannot tell, for it does not run the machine. */
export type PowerState = 'absent' | 'stopped' | 'starting' | 'running' | 'unknown';

/** What can be seen of a boot. */
export interface BootObservation {
  /**
   * `booted`: the marker was on the console, or a login prompt where no marker is asked for. `ended`: the machine stopped
   * without. `pending`: it may still come. `unavailable`: this provider shows no console.
   */
  verdict: 'booted' | 'pending' | 'ended' | 'unavailable';
  /** The line that decided. */
  evidenceLine: string | null;
  /** The console's text, at most the last 64 KiB, without control characters. */
  consoleText: string;
  /** A picture of the screen, where there is one and it was asked for. */
  screenshot: { mediaType: string; bytes: Uint8Array } | null;
}

/** Something that carries the product's marks and may belong to no job any more. */
export interface Leftover extends MachineRef {
  /** For example `virtual machine web01-test`. */
  what: string;
}

/** The disks of a machine as they were at one moment, frozen for a failback job; a job freezes them more than once. */
export interface FreezeRef {
  order: MachineOrder;
  /** The job that freezes: what it makes carries its mark. */
  jobId: string;
  /** 1, 2, … */
  pass: number;
}

/** A frozen disk that is open for reading. Its bytes never change. */
export interface FrozenDisk {
  /** As the target has it. */
  sizeBytes: number;
  /** Ranges inside the window that may hold something else than zeros: ascending, disjoint. */
  listRanges(window: ByteRange): Promise<ByteRange[]>;
  /** Ranges inside the window that may differ from an earlier freeze of the disk; undefined = the target cannot tell. */
  listChanges(window: ByteRange, earlier: FrozenDisk): Promise<ByteRange[] | undefined>;
  read(range: ByteRange): Promise<Uint8Array>;
}

/** Of a provider whose machines work on disks out of our reach. */
export interface DiskFreezing {
  /** Freezes every disk of the machine, running or not. Frozen before: no change. */
  freeze(ref: FreezeRef): Promise<ComputeProgress>;
  /**
   * Opens frozen disks for reading, runs `work`, and closes them whatever comes of it. Opening them again, also while they
   * are open elsewhere, may close them there: reads then throw `ComputeUnavailable`, and are tried again. Frozen disks go
   * with `deleteAll` of the job that froze them.
   */
  withFrozenDisks<T>(
    ref: FreezeRef,
    disks: readonly string[],
    work: (frozen: ReadonlyMap<string, FrozenDisk>) => Promise<T>,
  ): Promise<T>;
}

export interface ComputeProvider {
  readonly kind: 'vhd' | 'azure' | 'qemu';
  /** Whether machines really run here; without, nothing can be said about a boot. */
  readonly runsMachines: boolean;
  /** Turns the recovered disks into what the machine boots from. Throws `RecoveryDiskMissing` when one is not there. */
  prepareDisks(order: MachineOrder): Promise<ComputeProgress>;
  /** Makes the machine and starts it. Needs prepared disks. Throws `TargetNameTaken` when another machine has the name. */
  createMachine(order: MachineOrder): Promise<ComputeProgress>;
  powerState(order: MachineOrder): Promise<PowerState>;
  /** Starts a machine that was stopped. One that runs: no change. */
  startMachine(order: MachineOrder): Promise<ComputeProgress>;
  /** Shuts the machine down; its disks stay. A machine that is stopped or absent: no change. */
  stopMachine(order: MachineOrder): Promise<ComputeProgress>;
  /**
   * Writes what the machine changed on its disks back into the blobs of the order, which afterwards hold the machine's
   * disks as they are. Needs a stopped machine. A provider whose machine works on the blobs themselves does nothing; one
   * that has `freezing` is not asked.
   */
  captureDisks(order: MachineOrder): Promise<ComputeProgress>;
  /** Where it is there, the machine's disks are read through it, and the blobs of the order stay as they were. */
  readonly freezing?: DiskFreezing;
  /** Looks at the console once. `marker` must occur in a line of it for `booted`; null = a login prompt. */
  observeBoot(
    order: MachineOrder,
    marker: string | null,
    options?: { wantsScreenshot?: boolean },
  ): Promise<BootObservation>;
  /** Removes everything that this provider made for the job, found by its marks; the recovered blobs are not touched. */
  deleteAll(ref: MachineRef): Promise<ComputeProgress>;
  /** Everything that carries the product's marks. */
  listLeftovers(): AsyncIterable<Leftover>;
}
