// Changes of a disk for benchmarks, from a fixed seed: the same ones in every run.

import type { ByteRange } from '../lib/storage/ports.ts';

/** A small deterministic random source: integers in [0, below). */
export function randomSource(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Random writes of 4 to 64 KiB, aligned to 4 KiB, until `totalBytes` were written; they may overlap. */
export function randomChanges(diskBytes: number, totalBytes: number, seed: number): ByteRange[] {
  const random = randomSource(seed);
  const changes: ByteRange[] = [];
  for (let bytes = 0; bytes < totalBytes;) {
    const lengthBytes = (1 + random(16)) * 4096;
    changes.push({ offsetBytes: random((diskBytes - lengthBytes) / 4096) * 4096, lengthBytes });
    bytes += lengthBytes;
  }
  return changes;
}
