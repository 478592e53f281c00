// A connection to a machine that is ready for a cycle: right version, nothing left of an agent that died, NBD running.
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { LifeboatError } from '../../../lib/errors.ts';
import { errnoOf } from '../../fileErrors.ts';
import { QmpClient, QmpError } from '../../qmp/client.ts';
import { isListening, maxSocketPathBytes } from '../../qmp/listening.ts';
import { holdNotNeeded } from '../tracker.ts';
import { Machine, type AttachedDisk, type QemuDisk } from './machine.ts';
import { removeViews } from './view.ts';

export interface QemuTrackerOptions {
  /** A monitor of our own: `-qmp unix:PATH,server=on,wait=off`. */
  qmpSocketPath: string;
  disks: readonly QemuDisk[];
  /** Where QEMU may write scratch files; each grows by what the guest overwrites during a cycle. */
  scratchFolder: string;
  /** A power of two from 512; 4096 when omitted. Memory in QEMU: disk size / granularity / 8. */
  granularityBytes?: number;
  timeoutMs?: number;
}

/** Says that we paused the machine: whoever comes after a crash lets it run again. */
const pauseMarker = 'lifeboat-paused';

export class Session {
  readonly machine: Machine;
  readonly nbdSocketPath: string;
  readonly #options: QemuTrackerOptions;

  private constructor(machine: Machine, options: QemuTrackerOptions, nbdSocketPath: string) {
    this.machine = machine;
    this.#options = options;
    this.nbdSocketPath = nbdSocketPath;
  }

  /** Connects and puts the machine in order. Throws `SourceUnavailable` and `SourceAnswerInvalid`. */
  static async open(options: QemuTrackerOptions): Promise<Session> {
    const nbdSocketPath = path.resolve(options.scratchFolder, 'lifeboat-nbd');
    if (Buffer.byteLength(nbdSocketPath) > maxSocketPathBytes)
      throw new LifeboatError(
        'InvalidRequest',
        `${nbdSocketPath}: longer than the ${maxSocketPathBytes} bytes of a socket's path; choose a shorter scratch folder`,
        { target: options.scratchFolder },
      );
    const { qmpSocketPath: socketPath, timeoutMs } = options;
    const qmp = await QmpClient.connect({ socketPath, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
    try {
      const { major, minor } = qmp.version;
      if (major < 7 || (major === 7 && minor < 1))
        throw new LifeboatError(
          'SourceAnswerInvalid',
          `${socketPath}: QEMU ${major}.${minor} cannot freeze a view without risk for the machine; 7.1 or later can`,
          { target: socketPath },
        );
      const session = new Session(new Machine(qmp), options, nbdSocketPath);
      await session.#resumeAfterCrash();
      await removeViews(session.machine, await session.findDisks());
      await session.#startNbdServer();
      return session;
    } catch (error) {
      await qmp.close();
      throw error;
    }
  }

  get isAlive(): boolean {
    return this.machine.qmp.failure === undefined;
  }

  findDisks(): Promise<AttachedDisk[]> {
    return this.machine.findDisks(this.#options.disks);
  }

  async #startNbdServer(): Promise<void> {
    try {
      await this.machine.qmp.execute('nbd-server-start', {
        addr: { type: 'unix', data: { path: this.nbdSocketPath } },
        'max-connections': 64,
      });
    } catch (error) {
      const isRunning = error instanceof QmpError && error.description.includes('already running');
      if (!isRunning) throw error;
      // It is ours, left by an agent that died, or somebody else's, whose address QEMU does not tell.
      if (!(await isListening(this.nbdSocketPath)))
        throw new LifeboatError(
          'SourceAnswerInvalid',
          `${this.machine.qmp.location}: somebody else started the NBD server of this QEMU; stop it (nbd-server-stop)`,
          { target: this.machine.qmp.location, cause: error },
        );
    }
  }

  /**
   * Runs `work` so that no write of the guest falls between its parts: several disks then show the same instant. One disk
   * needs no pause, unless it is asked for (`isHeld`).
   */
  async atOneInstant(work: () => Promise<void>, isHeld = false): Promise<void> {
    const mayPause = isHeld || this.#options.disks.length > 1;
    const isPauseNeeded = mayPause && (await this.machine.getStatus()) === 'running';
    if (!isPauseNeeded) return work();
    const marker = path.join(this.#options.scratchFolder, pauseMarker);
    await writeFile(marker, `${new Date().toISOString()}\n`);
    await this.machine.qmp.execute('stop');
    try {
      await work();
    } finally {
      await this.machine.qmp.execute('cont');
      await rm(marker, { force: true });
    }
  }

  /**
   * The same for a moment of several machines: `whileHeld` runs while the guest stands still, and if it says so the guest stands
   * until `work` is done. Returns why it did not; null when it did.
   */
  async atHeldInstant(whileHeld: () => Promise<boolean>, work: () => Promise<void>): Promise<string | null> {
    const { qmp } = this.machine;
    const held: { problem?: string | null } = {};
    await this.atOneInstant(async () => {
      // Somebody else may let the guest run, and even stop it again: the events tell.
      qmp.takeEvents('RESUME');
      if (!(await whileHeld())) return;
      await work();
      const hasRun = (await this.machine.getStatus()) === 'running' || qmp.takeEvents('RESUME') > 0;
      held.problem = hasRun ? 'somebody else let the machine run' : null;
    }, true);
    if (held.problem !== undefined) return held.problem;
    await this.atOneInstant(work);
    return holdNotNeeded;
  }

  async #resumeAfterCrash(): Promise<void> {
    const marker = path.join(this.#options.scratchFolder, pauseMarker);
    try {
      await rm(marker);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return;
      throw error;
    }
    if ((await this.machine.getStatus()) === 'paused') await this.machine.qmp.execute('cont');
  }

  /** Takes the views away and stops the NBD server; the bitmaps go on recording. */
  async end(): Promise<void> {
    try {
      if (!this.isAlive) return;
      await removeViews(this.machine, await this.findDisks());
      if ((await this.machine.listExports()).length === 0) await this.machine.qmp.execute('nbd-server-stop');
    } finally {
      await this.machine.qmp.close();
    }
  }
}
