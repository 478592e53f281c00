// Scratch space in memory, for logs that are kept between their check and their merge.
import type { ScratchSpace } from '../../lib/merge/scratch.ts';

export type Damage = 'none' | 'write fails' | 'read fails' | 'byte changes' | 'no room' | 'open fails';

/** Scratch space of `roomBytes` in memory, which may be as bad as a disk can be. */
export function scratchOf(
  roomBytes: number,
  damage: Damage = 'none',
): ScratchSpace & { stored: Uint8Array; closed: number } {
  const stored = new Uint8Array(roomBytes);
  const space = {
    stored,
    closed: 0,
    async open() {
      if (damage === 'open fails') throw new Error('EACCES');
      if (damage === 'no room') return undefined;
      return {
        sizeBytes: roomBytes,
        async write(offsetBytes: number, data: Uint8Array) {
          if (damage === 'write fails' && offsetBytes > 0) throw new Error('ENOSPC');
          stored.set(data, offsetBytes);
        },
        async read(offsetBytes: number, target: Uint8Array) {
          if (damage === 'read fails') throw new Error('EIO');
          target.set(stored.subarray(offsetBytes, offsetBytes + target.length));
          if (damage === 'byte changes') target[target.length - 1] = ~(target.at(-1) ?? 0);
        },
        async close() {
          space.closed++;
        },
      };
    },
  };
  return space;
}
