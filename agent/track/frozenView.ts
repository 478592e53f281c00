// Where trackers that do not freeze by themselves get a state of the machine that stands still.
import type { DiskFormat, DiskReader } from '../disk/reader.ts';
import type { FreezeRequest } from './tracker.ts';

/** A disk of a machine, as the agent is told of it. */
export interface DiskPlace {
  disk: string;
  /** Path of an image or device, or an NBD URI. */
  location: string;
  format?: DiskFormat | undefined;
}

/** All disks at one instant. Ends with release(). */
export interface FrozenView {
  readonly takenAt: Date;
  readonly consistency: 'crash' | 'application';
  readonly readers: ReadonlyMap<string, DiskReader>;
  /** As of a frozen cycle (tracker.ts). */
  readonly holdProblem?: string | null | undefined;
  /** Throws AgentError `SourceChanged` when the view did not stand still, as far as can be told. */
  check(): Promise<void>;
  /** Closes the readers and gives the view back. May be called twice. */
  release(): Promise<void>;
}

/** Makes views, one at a time. */
export interface ViewSource {
  /** Throws `SnapshotFailed`, and errors of disks; nothing is left then. */
  open(request?: Pick<FreezeRequest, 'whileHeld'>): Promise<FrozenView>;
  /** As of a tracker. */
  readonly canHold?: boolean;
}
