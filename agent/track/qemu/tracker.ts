// Live change tracking of a running QEMU: a dirty bitmap for each reference, and frozen views read over NBD while the guest
// goes on.
//
// The bitmaps are the state, and QEMU keeps them: `lifeboat/<disk>/<reference>` records what changed on the disk since the
// reference. A cycle since X begins with a new bitmap Y, then the view is frozen, then X stops recording. In this order a
// write near the freeze is in both X and Y, and shipped twice; the other order would lose it. X is removed by confirm()
// and records again, with Y merged into it, after abort() or a crash. If X is gone, QEMU was started anew: TrackingLost.
import { LifeboatError, isLifeboatError } from '../../../lib/errors.ts';
import type { ByteRange } from '../../../lib/storage/ports.ts';
import { NbdDisk } from '../../disk/nbdDisk.ts';
import { dirtyFlag } from '../../nbd/protocol.ts';
import type { ChangeTracker, FreezeRequest, FrozenCycle, FrozenDisk } from '../tracker.ts';
import { allocatedExtents } from '../allocatedExtents.ts';
import { ExtentCollector } from '../extentCollector.ts';
import { OneCycle } from '../oneCycle.ts';
import type { AttachedDisk } from './machine.ts';
import { bitmapName, newReference, viewNames } from './names.ts';
import { Session, type QemuTrackerOptions } from './session.ts';
import { exportView, prepareFilter, removeViews } from './view.ts';

const defaultGranularityBytes = 4096;
async function dirtyExtents(reader: NbdDisk, context: string): Promise<ByteRange[]> {
  const extents = new ExtentCollector();
  const disk = { offsetBytes: 0, lengthBytes: reader.sizeBytes };
  await reader.client.forEachStatus(context, disk, ({ flags, ...run }) => {
    if ((flags & dirtyFlag) !== 0) extents.add(run);
  });
  return extents.take();
}

/** The tracker of one machine. It connects when it is needed and again after every failure. */
export class QemuTracker implements ChangeTracker {
  readonly canHold = true;
  readonly #options: QemuTrackerOptions;
  #session: Session | undefined;
  readonly #cycle: OneCycle<QemuCycle>;

  constructor(options: QemuTrackerOptions) {
    this.#options = options;
    this.#cycle = new OneCycle(options.qmpSocketPath);
  }

  /** A session with nothing left of earlier ones. */
  async #openSession(): Promise<Session> {
    if (this.#session?.isAlive === true) return this.#session;
    await this.#session?.end();
    this.#session = undefined;
    this.#session = await Session.open(this.#options);
    return this.#session;
  }

  async freeze({ since, whileHeld }: FreezeRequest = {}): Promise<FrozenCycle> {
    return this.#cycle.begin(async () => {
      const session = await this.#openSession();
      if (since !== undefined) await this.#settle(session, since);
      const cycle = new QemuCycle(() => this.#openSession(), newReference(new Date()), since);
      try {
        await cycle.begin(session, this.#options, whileHeld);
      } catch (error) {
        await cycle.abort();
        throw error;
      }
      return cycle;
    });
  }

  /**
   * Makes the bitmaps of the reference whole again, whatever an agent that died was doing. A disk without any bitmap of ours,
   * beside others that have theirs, was added since. Throws `TrackingLost`.
   */
  async #settle(session: Session, since: string): Promise<void> {
    const attached = await session.findDisks();
    const tracked = attached.filter(({ bitmaps }) => bitmaps.length > 0);
    const disks = tracked.length > 0 ? tracked : attached;
    for (const { disk, bitmaps } of disks) {
      const bitmap = bitmaps.find(({ name }) => name === bitmapName(disk, since));
      if (bitmap && !bitmap.isInconsistent) continue;
      const why = bitmap
        ? 'QEMU ended without saving what it tracked'
        : 'QEMU was started anew, or something else was tracked since';
      throw new LifeboatError(
        'TrackingLost',
        `disk ${disk}: the changes since ${since} are not known: ${why}`,
        {
          target: disk,
        },
      );
    }
    for (const disk of disks) await mergeIntoReference(session, disk, since);
  }

  async close(): Promise<void> {
    await this.#cycle.end();
    const session = this.#session;
    this.#session = undefined;
    await session?.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The bitmap of the reference records, holds what every other one of the disk holds, and is the only one. */
async function mergeIntoReference(session: Session, disk: AttachedDisk, since: string): Promise<void> {
  const own = bitmapName(disk.disk, since);
  const others = disk.bitmaps.filter(({ name }) => name !== own);
  const whole = others.filter(({ isInconsistent }) => !isInconsistent).map(({ name }) => name);
  await session.machine.mergeBitmaps(disk, own, whole);
  for (const { name } of others) await session.machine.removeBitmap(disk, name);
}

class QemuCycle implements FrozenCycle {
  readonly reference: string;
  readonly consistency = 'crash';
  readonly kind: 'full' | 'changes';
  takenAt = new Date(0);
  holdProblem: string | null | undefined;
  readonly disks: FrozenDisk[] = [];
  readonly #since: string | undefined;
  readonly #openSession: () => Promise<Session>;
  #state: 'open' | 'confirmed' | 'aborted' = 'open';

  constructor(openSession: () => Promise<Session>, reference: string, since: string | undefined) {
    this.#openSession = openSession;
    this.reference = reference;
    this.#since = since;
    this.kind = since === undefined ? 'full' : 'changes';
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  async begin(
    session: Session,
    options: QemuTrackerOptions,
    whileHeld: FreezeRequest['whileHeld'],
  ): Promise<void> {
    const { machine } = session;
    const { granularityBytes = defaultGranularityBytes, scratchFolder } = options;
    const attached = await session.findDisks();
    for (const [index, disk] of attached.entries()) {
      await prepareFilter(machine, disk, index, scratchFolder);
      await machine.addBitmap(disk, bitmapName(disk.disk, this.reference), granularityBytes);
    }
    const switchDrives = async (): Promise<void> => {
      for (const [index, disk] of attached.entries()) await machine.setDrive(disk, viewNames(index).filter);
      this.takenAt = new Date();
    };
    if (whileHeld) this.holdProblem = await session.atHeldInstant(whileHeld, switchDrives);
    else await session.atOneInstant(switchDrives);
    for (const [index, disk] of attached.entries()) {
      const known = this.#since === undefined ? undefined : bitmapName(disk.disk, this.#since);
      const since = disk.bitmaps.some(({ name }) => name === known) ? known : undefined;
      if (since !== undefined) await machine.stopRecording(disk, since);
      const exportName = await exportView(machine, disk, index, since);
      this.disks.push(await this.#openDisk(session, disk, exportName, since));
    }
  }

  async #openDisk(
    session: Session,
    { disk }: AttachedDisk,
    exportName: string,
    bitmap: string | undefined,
  ): Promise<FrozenDisk> {
    const context = bitmap === undefined ? undefined : `qemu:dirty-bitmap:${bitmap}`;
    const reader = await NbdDisk.open({
      socket: { path: session.nbdSocketPath },
      exportName,
      location: `frozen view of disk ${disk}`,
      stateId: Buffer.from(`${this.reference}/${disk}`).toString('hex'),
      ...(context === undefined ? {} : { contexts: [context] }),
    });
    try {
      const extents =
        context === undefined ? await allocatedExtents(reader) : await dirtyExtents(reader, context);
      return { disk, reader, extents, isUntracked: this.kind === 'changes' && bitmap === undefined };
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  async #release(session: Session): Promise<AttachedDisk[]> {
    await Promise.all(this.disks.map(({ reader }) => reader.close()));
    const attached = await session.findDisks();
    await removeViews(session.machine, attached);
    return attached;
  }

  async confirm(): Promise<void> {
    if (this.#state === 'confirmed') return;
    if (this.#state === 'aborted')
      throw new Error(`cycle ${this.reference} was aborted and cannot be confirmed`);
    const session = await this.#openSession();
    for (const disk of await this.#release(session)) {
      const own = bitmapName(disk.disk, this.reference);
      for (const { name } of disk.bitmaps) if (name !== own) await session.machine.removeBitmap(disk, name);
    }
    this.#state = 'confirmed';
  }

  async detach(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'aborted';
    // Both bitmaps stay; the next freeze merges the other one into its reference.
    await this.#release(await this.#openSession());
  }

  async abort(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'aborted';
    try {
      const session = await this.#openSession();
      for (const disk of await this.#release(session)) {
        const own = bitmapName(disk.disk, this.reference);
        const since = this.#since === undefined ? undefined : bitmapName(disk.disk, this.#since);
        if (!disk.bitmaps.some(({ name }) => name === own)) continue;
        if (disk.bitmaps.some(({ name }) => name === since) && since !== undefined)
          await session.machine.mergeBitmaps(disk, since, [own]);
        await session.machine.removeBitmap(disk, own);
      }
    } catch (error) {
      // Nothing is lost: QEMU keeps the bitmaps, and the next freeze puts them in order.
      if (!isLifeboatError(error, 'SourceUnavailable', 'SourceAnswerInvalid')) throw error;
    }
  }
}
