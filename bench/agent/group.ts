// A cycle of the agent on a local image, beside other programs that find and apply changes.
import type { BenchGroup } from '../measurements.ts';
import { benchChanges } from './changes.ts';

export const agentBench: BenchGroup = {
  what: 'a cycle of a 2 GiB image: find, ship, apply; beside rsync, rdiff and qemu-img convert and commit',
  run: benchChanges,
};
