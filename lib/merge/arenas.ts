// The buffers that windows are loaded into. They are kept from one merge to the next: making one costs as much as filling it.
import { defaultWindowBytes } from './windows.ts';

/** Keeps up to `idleLimit` buffers of `arenaBytes` that nobody uses. */
export class ArenaPool {
  readonly #arenaBytes: number;
  readonly #idleLimit: number;
  readonly #idle: Uint8Array[] = [];

  constructor(arenaBytes: number, idleLimit: number) {
    this.#arenaBytes = arenaBytes;
    this.#idleLimit = idleLimit;
  }

  /** A buffer of at least `lengthBytes`, with whatever bytes it was left with. */
  take(lengthBytes: number): Uint8Array {
    const idle = lengthBytes <= this.#arenaBytes ? this.#idle.pop() : undefined;
    return idle ?? new Uint8Array(lengthBytes);
  }

  /** For whoever is done with a buffer; it must not be used, nor be given back again, after that. */
  giveBack(arena: Uint8Array): void {
    if (arena.length === this.#arenaBytes && this.#idle.length < this.#idleLimit) this.#idle.push(arena);
  }
}

/** Those of this process: what one merge uses. */
const processArenas = new ArenaPool(defaultWindowBytes, 2);

/** The arenas of one piece of work. They are made when they are first asked for. */
export class Arenas {
  readonly #arenaBytes: number;
  readonly #pool: ArenaPool;
  readonly #arenas = new Map<number, Uint8Array>();

  constructor(arenaBytes: number, pool = processArenas) {
    this.#arenaBytes = arenaBytes;
    this.#pool = pool;
  }

  /** The arena of that number, the same for each call. */
  get(number: number): Uint8Array {
    const arena = this.#arenas.get(number) ?? this.#pool.take(this.#arenaBytes);
    this.#arenas.set(number, arena);
    return arena;
  }

  /**
   * Once, when the work has succeeded. After a failure the arenas are left to the garbage collector: a request that was
   * given up may not have let go of one yet, and would send the bytes of another log.
   */
  giveBack(): void {
    for (const arena of this.#arenas.values()) this.#pool.giveBack(arena);
    this.#arenas.clear();
  }
}
