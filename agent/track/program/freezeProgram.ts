// The program that freezes a machine for us: what it is called with and what it prints. docs/agent.md has the contract.
import * as z from 'zod';
import { LifeboatError } from '../../../lib/errors.ts';
import { openDisk } from '../../disk/openDisk.ts';
import { diskFormats, type DiskReader } from '../../disk/reader.ts';
import type { DiskPlace } from '../frozenView.ts';
import { holdNotNeeded, type FreezeRequest } from '../tracker.ts';
import { HeldWrites } from './holdProgram.ts';
import { runProgram, type Program } from './runProgram.ts';

/** Exit code with which a program says that it does not know what changed since the reference. */
const trackingLostExitCode = 3;

const frozenDisk = z.looseObject({
  disk: z.string(),
  path: z.string().min(1),
  format: z.enum(diskFormats).optional(),
  /** See changesFormat.ts. */
  changes: z.unknown().optional(),
});
const answer = z.looseObject({
  reference: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/)
    .optional(),
  takenAt: z.iso.datetime({ offset: true }).optional(),
  consistency: z.enum(['crash', 'application']).default('crash'),
  disks: z.array(frozenDisk),
});

/** What the program printed, checked, with the disks open. */
export interface ProgramFreeze {
  reference: string | undefined;
  takenAt: Date;
  consistency: 'crash' | 'application';
  disks: { disk: string; reader: DiskReader; changes: unknown }[];
  /** As of a frozen cycle (tracker.ts). */
  holdProblem?: string | null | undefined;
}

export interface FreezeProgramOptions extends Program {
  machine: string;
  disks: readonly DiskPlace[];
  /** Holds the writes of the machine; without it nothing does. */
  hold?: Program | undefined;
  now?: () => Date;
  signal?: AbortSignal | undefined;
}

/** Calls of one machine's program. */
export class FreezeProgram {
  readonly #options: FreezeProgramOptions;

  constructor(options: FreezeProgramOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.command[0] ?? '';
  }

  get canHold(): boolean {
    return this.#options.hold !== undefined;
  }

  /** Throws `TrackingLost`, `SnapshotFailed`, `SourceAnswerInvalid` and errors of disks; the program froze nothing then, or was told to let go. */
  async freeze(since: string | undefined, whileHeld?: FreezeRequest['whileHeld']): Promise<ProgramFreeze> {
    const { hold } = this.#options;
    if (!hold || !whileHeld) return this.#freeze(since);
    const held = await HeldWrites.begin(hold, this.#about());
    let holdProblem: string | null | undefined;
    try {
      if (held.problem !== undefined || !(await whileHeld()))
        holdProblem = (await held.end()) ?? holdNotNeeded;
      const frozen = await this.#freeze(since);
      holdProblem ??= await held.end();
      return { ...frozen, holdProblem };
    } catch (error) {
      if (holdProblem === undefined) await held.end();
      throw error;
    }
  }

  async #freeze(since: string | undefined): Promise<ProgramFreeze> {
    const { now = () => new Date() } = this.#options;
    const before = now();
    const { exitCode, stdout, stderr } = await this.#run('freeze', { LIFEBOAT_SINCE: since ?? '' });
    if (exitCode === trackingLostExitCode) {
      const message = `${this.name} does not know what changed since ${since ?? 'the beginning'}: ${stderr}`;
      throw new LifeboatError('TrackingLost', message);
    }
    if (exitCode !== 0) throw this.#failed('freeze', exitCode, stderr);
    try {
      return await this.#open(stdout, before);
    } catch (error) {
      await this.abort(undefined, since).catch(() => undefined);
      throw error;
    }
  }

  /** The reference counts from now on; whatever else there is may go. May be called twice. */
  async confirm(reference: string): Promise<void> {
    const { exitCode, stderr } = await this.#run('confirm', { LIFEBOAT_REFERENCE: reference });
    if (exitCode !== 0) throw this.#failed('confirm', exitCode, stderr);
  }

  /** Lets go of the frozen state (undefined: of any), and keeps what is needed for changes since `since`. May be called twice. */
  async abort(reference: string | undefined, since: string | undefined): Promise<void> {
    const variables = { LIFEBOAT_REFERENCE: reference ?? '', LIFEBOAT_SINCE: since ?? '' };
    const { exitCode, stderr } = await this.#run('abort', variables);
    if (exitCode !== 0) throw this.#failed('abort', exitCode, stderr);
  }

  #about(): Record<string, string> {
    const { machine, disks } = this.#options;
    return {
      LIFEBOAT_MACHINE: machine,
      LIFEBOAT_DISKS: JSON.stringify(disks.map(({ disk, location }) => ({ disk, location }))),
    };
  }

  #run(verb: string, variables: Record<string, string>) {
    const { signal } = this.#options;
    // Letting go is not cut short.
    return runProgram(
      this.#options,
      verb,
      { ...this.#about(), ...variables },
      verb === 'freeze' ? signal : undefined,
    );
  }

  #failed(verb: string, exitCode: number, stderr: string): LifeboatError {
    const said = stderr === '' ? 'and said nothing' : `and said: ${stderr}`;
    return new LifeboatError('SnapshotFailed', `${this.name} ${verb} ended with ${exitCode} ${said}`);
  }

  async #open(stdout: string, before: Date): Promise<ProgramFreeze> {
    const invalid = (why: string): LifeboatError =>
      new LifeboatError('SourceAnswerInvalid', `What ${this.name} freeze printed is refused: ${why}.`);
    let value: unknown;
    try {
      value = JSON.parse(stdout);
    } catch {
      throw invalid('it is not JSON');
    }
    const parsed = answer.safeParse(value);
    if (!parsed.success) throw invalid(z.prettifyError(parsed.error).split('\n')[0] ?? 'unknown fields');
    const { reference, takenAt, consistency, disks } = parsed.data;
    const readers: ProgramFreeze['disks'] = [];
    try {
      for (const { disk } of this.#options.disks) {
        const found = disks.filter((each) => each.disk === disk);
        const [frozen] = found;
        if (!frozen || found.length > 1) throw invalid(`it names disk ${disk} ${found.length} times`);
        const reader = await openDisk(frozen.path, { format: frozen.format });
        readers.push({ disk, reader, changes: frozen.changes });
      }
    } catch (error) {
      await Promise.all(readers.map(({ reader }) => reader.close()));
      throw error;
    }
    return {
      reference,
      // A time from before the question is what some program calls a time, and a claim that nobody can check.
      takenAt: takenAt !== undefined && new Date(takenAt) >= before ? new Date(takenAt) : before,
      ...{ consistency, disks: readers },
    };
  }
}
