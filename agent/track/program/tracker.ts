// Change tracking by a program that knows what changed: RCT of Hyper-V, thin_delta, rbd diff, and whatever else prints extents.
// The program keeps the references; this makes sure that its answers are whole, and that it is told what became of them.
import { LifeboatError } from '../../../lib/errors.ts';
import { allocatedExtents } from '../allocatedExtents.ts';
import { OneCycle } from '../oneCycle.ts';
import type { ChangeTracker, FreezeRequest, FrozenCycle, FrozenDisk } from '../tracker.ts';
import { parseChanges } from './changesFormat.ts';
import { FreezeProgram, type FreezeProgramOptions, type ProgramFreeze } from './freezeProgram.ts';

/** The tracker of one machine. */
export class ProgramTracker implements ChangeTracker {
  readonly #program: FreezeProgram;
  /** What the program was last told to count from; undefined before it was told anything. */
  #settled: { since: string | undefined } | undefined;
  readonly #cycle = new OneCycle<ProgramCycle>();

  constructor(options: FreezeProgramOptions) {
    this.#program = new FreezeProgram(options);
  }

  get canHold(): boolean {
    return this.#program.canHold;
  }

  async freeze({ since, whileHeld }: FreezeRequest): Promise<FrozenCycle> {
    return this.#cycle.begin(async () => {
      await this.#settle(since);
      const frozen = await this.#program.freeze(since, whileHeld);
      try {
        return await this.#open(frozen, since);
      } catch (error) {
        await Promise.all(frozen.disks.map(({ reader }) => reader.close()));
        await this.#program.abort(frozen.reference, since).catch(() => undefined);
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    await this.#cycle.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Makes the program forget what an agent that died was doing. */
  async #settle(since: string | undefined): Promise<void> {
    if (this.#settled && this.#settled.since === since) return;
    if (since === undefined) await this.#program.abort(undefined, undefined);
    else await this.#program.confirm(since);
    this.#settled = { since };
  }

  async #open(frozen: ProgramFreeze, since: string | undefined): Promise<ProgramCycle> {
    const { reference, takenAt, consistency, holdProblem } = frozen;
    if (reference === undefined || reference === since)
      throw new LifeboatError(
        'SourceAnswerInvalid',
        `${this.#program.name} freeze did not print a new reference.`,
      );
    const disks: FrozenDisk[] = [];
    for (const { disk, reader, changes } of frozen.disks) {
      const subject = { disk, diskSizeBytes: reader.sizeBytes, since: since ?? '', to: reference };
      // The program says of a disk that it did not know at the reference: null.
      const isUntracked = since !== undefined && changes === null;
      const isWhole = since === undefined || isUntracked;
      const extents = isWhole ? await allocatedExtents(reader) : parseChanges(changes, subject);
      disks.push({ disk, reader, extents, isUntracked });
    }
    return new ProgramCycle({
      ...{
        reference,
        takenAt,
        consistency,
        disks,
        holdProblem,
        kind: since === undefined ? 'full' : 'changes',
      },
      confirm: async () => {
        await this.#program.confirm(reference);
        this.#settled = { since: reference };
      },
      abort: () => this.#program.abort(reference, since),
      detach: () => (this.#settled = undefined),
    });
  }
}

interface CycleParts {
  reference: string;
  kind: 'full' | 'changes';
  takenAt: Date;
  consistency: 'crash' | 'application';
  disks: readonly FrozenDisk[];
  holdProblem: string | null | undefined;
  confirm: () => Promise<void>;
  abort: () => Promise<void>;
  /** The program still holds this state: it is told what counts before the next one. */
  detach: () => void;
}

class ProgramCycle implements FrozenCycle {
  readonly reference: string;
  readonly kind: 'full' | 'changes';
  readonly takenAt: Date;
  readonly consistency: 'crash' | 'application';
  readonly disks: readonly FrozenDisk[];
  readonly holdProblem: string | null | undefined;
  readonly #parts: CycleParts;
  #state: 'open' | 'confirmed' | 'aborted' = 'open';

  constructor(parts: CycleParts) {
    this.#parts = parts;
    this.reference = parts.reference;
    this.kind = parts.kind;
    this.takenAt = parts.takenAt;
    this.consistency = parts.consistency;
    this.disks = parts.disks;
    this.holdProblem = parts.holdProblem;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  async confirm(): Promise<void> {
    if (this.#state === 'confirmed') return;
    if (this.#state === 'aborted')
      throw new Error(`cycle ${this.reference} was aborted and cannot be confirmed`);
    await this.#closeReaders();
    await this.#parts.confirm();
    this.#state = 'confirmed';
  }

  async abort(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'aborted';
    await this.#closeReaders();
    await this.#parts.abort();
  }

  async detach(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'aborted';
    await this.#closeReaders();
    this.#parts.detach();
  }

  async #closeReaders(): Promise<void> {
    await Promise.all(this.disks.map(({ reader }) => reader.close()));
  }
}
