// Frozen views that a program makes: for the scan, which finds the changes by itself.
import type { DiskReader } from '../../disk/reader.ts';
import type { FrozenView, ViewSource } from '../frozenView.ts';
import type { FreezeRequest } from '../tracker.ts';
import { FreezeProgram, type FreezeProgramOptions } from './freezeProgram.ts';

/** The first view of a process makes the program let go of what an earlier process left. */
export function programViews(options: FreezeProgramOptions): ViewSource {
  const program = new FreezeProgram(options);
  let isClean = false;
  return {
    canHold: program.canHold,
    async open({ whileHeld }: Pick<FreezeRequest, 'whileHeld'> = {}): Promise<FrozenView> {
      if (!isClean) await program.abort(undefined, undefined);
      isClean = false;
      const frozen = await program.freeze(undefined, whileHeld);
      const { reference, takenAt, consistency, disks, holdProblem } = frozen;
      const readers = new Map<string, DiskReader>(disks.map(({ disk, reader }) => [disk, reader]));
      let released: Promise<void> | undefined;
      const release = async (): Promise<void> => {
        await Promise.all([...readers.values()].map((reader) => reader.close()));
        await program.abort(reference, undefined);
        isClean = true;
      };
      return {
        ...{ takenAt, consistency, readers, holdProblem },
        check: () => Promise.resolve(),
        release: () => (released ??= release()),
      };
    },
  };
}
