// The contract of every change tracker: a running QEMU, a scan against stored digests, a command that prints extents.
//
// Words: a *state* is the content of all disks of a machine at one instant. A *reference* names such a state. A tracker
// can tell the changes since a reference as long as it kept track from then on.
//
// The rules, in order of importance:
// 1. A change is never lost. A tracker may report blocks that did not change; it never leaves out one that did. When it
//    cannot be sure (its state is gone, damaged, of another reference, incomplete) it throws `TrackingLost` and reports
//    nothing: the caller resynchronizes. It never guesses.
// 2. All disks of a cycle show the same instant, and the readers show that instant until confirm() or abort(), however
//    much the machine writes meanwhile.
// 3. The reference moves only by confirm(), and confirm() is called only after the service said that the cycle is
//    applied and verified. After abort(), or a crash at any moment, the changes since the old reference are still known.
// 4. The caller stores `cycle.reference` durably *before* confirm(). A tracker is opened again after a crash with either
//    the old or the new reference, and both work: with the old one the cycle that was on its way is reported again.
// 5. The source is not changed, not paused for longer than the freeze, and not put at risk: what runs full breaks the
//    frozen view and never the machine.
import type { ByteRange } from '../../lib/storage/ports.ts';
import type { DiskReader } from '../disk/reader.ts';

/** One disk of a frozen cycle. */
export interface FrozenDisk {
  /** Name of the disk as the agent knows it. */
  disk: string;
  /** The whole disk at the instant. The cycle closes it; reading after confirm() or abort() fails. */
  reader: DiskReader;
  /**
   * Ascending, disjoint, not adjacent, in whole 512-byte sectors, inside the disk. For `changes`: everything outside is
   * as it was at the reference. For `full`: everything outside is zero.
   */
  extents: readonly ByteRange[];
  /**
   * True for a disk that the machine did not have at the reference, or that nobody tracked then: what it held before is not
   * known. Its extents are as those of `full`.
   */
  isUntracked?: boolean;
}

/** A state of the machine that can be read at leisure. Ends with exactly one of confirm() and abort(). */
export interface FrozenCycle {
  /** Name of this state: what the next freeze may be asked for changes since. Letters, digits and "-"; at most 64. */
  readonly reference: string;
  readonly kind: 'full' | 'changes';
  /** When the disks were frozen, by the agent's clock. */
  readonly takenAt: Date;
  readonly consistency: 'crash' | 'application';
  readonly disks: readonly FrozenDisk[];
  /**
   * Of a freeze with `whileHeld`: null when the writes were held from before it was called until the view was frozen; otherwise
   * why not, or that nobody needed it. Undefined: nobody asked.
   */
  readonly holdProblem?: string | null | undefined;
  /**
   * For views that only hope to stand still: throws AgentError `SourceChanged` when the disks were written since the freeze.
   * Call it after reading, before anything that was read is used.
   */
  check?(): Promise<void>;
  /**
   * The service has this cycle: `reference` is the new reference, what came before is forgotten, the view is released.
   * If it throws, call it again or open the tracker anew. A second call after success changes nothing; after abort() it
   * throws.
   */
  confirm(): Promise<void>;
  /**
   * The cycle is given up: the old reference stays, and the next cycle reports these changes too. Call it after any
   * failure. A second call changes nothing; after confirm() as well.
   */
  abort(): Promise<void>;
  /**
   * Lets go of the view and keeps everything else, as a crash would: the next freeze may count from the old reference or from
   * this one. For a cycle that is on its way when the agent ends. A second call changes nothing; after confirm() and abort()
   * as well.
   */
  detach(): Promise<void>;
}

export interface FreezeRequest {
  /** Reference of the last confirmed cycle. Undefined: everything, for initial replication; tracking begins anew. */
  since?: string | undefined;
  /**
   * Called once while all writes of the machine are held, and what was written before is in the disks. True: they stay held until
   * the view is frozen. False: they go on, and the view is frozen as always. Not called by a tracker that cannot hold writes, and
   * when holding them fails. What it throws, freeze() throws, after the writes were let go.
   */
  whileHeld?: (() => Promise<boolean>) | undefined;
}

/** Why `holdProblem` is not null after whileHeld() said false. */
export const holdNotNeeded = 'the writes were let go before the view was frozen';

/** Tells what a machine wrote. One cycle at a time: freeze() while a cycle is open throws `TrackerBusy`. */
export interface ChangeTracker extends AsyncDisposable {
  /** True for a tracker that can hold the writes of the machine before it freezes. */
  readonly canHold?: boolean;
  /**
   * Freezes all disks at one instant. Throws `TrackingLost` when the changes since the reference cannot be told, and
   * `SourceUnavailable` when the source does not answer; in both cases nothing is left behind and the reference stays.
   */
  freeze(request: FreezeRequest): Promise<FrozenCycle>;
  /** Aborts an open cycle and lets go of the source; tracking goes on inside the source. May be called twice. */
  close(): Promise<void>;
}
