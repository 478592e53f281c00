// Watches how large the arrays are that a piece of code makes: a limit on memory that does not depend on the machine.

export interface AllocationWatch {
  /** Length of the longest array made since the last call. */
  takeLongest: () => number;
  /** Puts the constructors back. */
  stop: () => void;
}

/** Counts every Float64Array and Uint32Array that is made with a length, anywhere in this process, until stopped. */
export function watchAllocations(): AllocationWatch {
  let longest = 0;
  const kept = { Float64Array: globalThis.Float64Array, Uint32Array: globalThis.Uint32Array };
  const watched = <Constructor extends typeof Float64Array | typeof Uint32Array>(original: Constructor) =>
    new Proxy(original, {
      construct(target, args: [number]) {
        // Before the array is made: a length that cannot be had must show as such, not as a RangeError of the engine.
        if (typeof args[0] === 'number') longest = Math.max(longest, args[0]);
        // Without the proxy as new.target, which would give every array a shape of its own and make all code slow.
        return Reflect.construct(target, args) as object;
      },
    });
  globalThis.Float64Array = watched(kept.Float64Array);
  globalThis.Uint32Array = watched(kept.Uint32Array);
  return {
    takeLongest() {
      const taken = longest;
      longest = 0;
      return taken;
    },
    stop: () => void Object.assign(globalThis, kept),
  };
}
