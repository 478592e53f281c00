// Change tracking by comparing: digests of every block of the last confirmed state are kept in a folder, and a frozen view is
// read whole and compared with them. Works for anything that can be frozen and read.
//
// <folder>/<reference>/<disk>.digests and state.json, which is written last: a reference without it does not exist. confirm()
// removes the other references, abort() the new one; after a crash both are there, and both work.
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { errnoOf } from '../../fileErrors.ts';
import type { FrozenView, ViewSource } from '../frozenView.ts';
import { OneCycle } from '../oneCycle.ts';
import { newReference } from '../qemu/names.ts';
import type { ChangeTracker, FreezeRequest, FrozenCycle, FrozenDisk } from '../tracker.ts';
import { HashPool } from './hashPool.ts';
import { referenceLost, scanDisk } from './scanDisk.ts';

export interface ScanTrackerOptions {
  /** Of this tracker alone; made when it is missing. */
  folder: string;
  views: ViewSource;
  /** Threads that digest. Default 2. */
  workers?: number;
  signal?: AbortSignal | undefined;
  onProgress?: ((disk: string, doneBytes: number, sizeBytes: number) => void) | undefined;
}

const stateFile = z.strictObject({
  version: z.literal(1),
  disks: z.record(z.string(), z.strictObject({ sizeBytes: z.number(), sha256: z.string() })),
});
type ScanState = z.infer<typeof stateFile>;

/** References are names of folders. */
const referenceText = /^[A-Za-z0-9-]{1,64}$/;

const digestsName = (disk: string): string => `${disk}.digests`;

/** The tracker of one machine. */
export class ScanTracker implements ChangeTracker {
  readonly #options: ScanTrackerOptions;
  readonly #cycle = new OneCycle<ScanCycle>();

  constructor(options: ScanTrackerOptions) {
    this.#options = options;
  }

  get canHold(): boolean {
    return this.#options.views.canHold === true;
  }

  async freeze({ since, whileHeld }: FreezeRequest): Promise<FrozenCycle> {
    return this.#cycle.begin(async () => {
      const older = since === undefined ? undefined : await this.#readState(since);
      await this.#removeOthers(since);
      return this.#scan({ since, whileHeld }, older);
    });
  }

  async close(): Promise<void> {
    await this.#cycle.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #readState(reference: string): Promise<ScanState> {
    if (!referenceText.test(reference)) throw referenceLost(reference, 'have no valid name');
    const path = join(this.#options.folder, reference, 'state.json');
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') throw referenceLost(reference, 'are gone');
      throw error;
    });
    try {
      return stateFile.parse(JSON.parse(text));
    } catch {
      throw referenceLost(reference, 'are damaged');
    }
  }

  async #removeOthers(kept: string | undefined): Promise<void> {
    const { folder } = this.#options;
    await mkdir(folder, { recursive: true });
    for (const name of await readdir(folder))
      if (name !== kept) await rm(join(folder, name), { recursive: true, force: true });
  }

  async #scan({ since, whileHeld }: FreezeRequest, older: ScanState | undefined): Promise<ScanCycle> {
    const { folder, views, workers } = this.#options;
    // The threads start while the view is made.
    await using pool = new HashPool(workers);
    const view = await views.open({ whileHeld });
    const reference = newReference(view.takenAt);
    const path = join(folder, reference);
    try {
      await mkdir(path);
      const disks = await this.#scanDisks({ view, path, pool }, { since, older });
      await view.check();
      return new ScanCycle({
        ...{ view, reference, disks, kind: older ? 'changes' : 'full' },
        removeOthers: () => this.#removeOthers(reference),
        removeThis: () => rm(path, { recursive: true, force: true }),
      });
    } catch (error) {
      await view.release();
      await rm(path, { recursive: true, force: true });
      throw error;
    }
  }

  async #scanDisks(
    { view, path, pool }: { view: FrozenView; path: string; pool: HashPool },
    { since, older }: { since: string | undefined; older: ScanState | undefined },
  ): Promise<FrozenDisk[]> {
    const { folder, signal, onProgress } = this.#options;
    const disks: FrozenDisk[] = [];
    const state: ScanState = { version: 1, disks: {} };
    for (const [disk, reader] of view.readers) {
      const { sizeBytes } = reader;
      const known = older?.disks[disk];
      if (since !== undefined && known && known.sizeBytes > sizeBytes)
        throw referenceLost(
          since,
          `are of disk ${disk} with ${known.sizeBytes} bytes, and it has ${sizeBytes}`,
        );
      const { extents, sha256 } = await scanDisk({
        ...{ reader, pool, signal, path: join(path, digestsName(disk)) },
        older: known && { path: join(folder, since ?? '', digestsName(disk)), ...known },
        onProgress: (doneBytes) => onProgress?.(disk, doneBytes, sizeBytes),
      });
      state.disks[disk] = { sizeBytes, sha256 };
      disks.push({ disk, reader, extents, isUntracked: since !== undefined && !known });
    }
    await writeFile(join(path, 'state.part'), JSON.stringify(state), { flush: true });
    await rename(join(path, 'state.part'), join(path, 'state.json'));
    return disks;
  }
}

interface ScanCycleParts {
  view: FrozenView;
  reference: string;
  kind: 'full' | 'changes';
  disks: readonly FrozenDisk[];
  removeOthers: () => Promise<void>;
  removeThis: () => Promise<void>;
}

class ScanCycle implements FrozenCycle {
  readonly reference: string;
  readonly kind: 'full' | 'changes';
  readonly disks: readonly FrozenDisk[];
  readonly #parts: ScanCycleParts;
  #state: 'open' | 'confirmed' | 'aborted' = 'open';

  constructor(parts: ScanCycleParts) {
    this.#parts = parts;
    this.reference = parts.reference;
    this.kind = parts.kind;
    this.disks = parts.disks;
  }

  get takenAt(): Date {
    return this.#parts.view.takenAt;
  }

  get consistency(): 'crash' | 'application' {
    return this.#parts.view.consistency;
  }

  get holdProblem(): string | null | undefined {
    return this.#parts.view.holdProblem;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  check(): Promise<void> {
    return this.#parts.view.check();
  }

  async confirm(): Promise<void> {
    if (this.#state === 'confirmed') return;
    if (this.#state === 'aborted')
      throw new Error(`cycle ${this.reference} was aborted and cannot be confirmed`);
    await this.#parts.removeOthers();
    await this.#parts.view.release();
    this.#state = 'confirmed';
  }

  async abort(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'aborted';
    await this.#parts.view.release();
    await this.#parts.removeThis();
  }

  async detach(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'aborted';
    await this.#parts.view.release();
  }
}
