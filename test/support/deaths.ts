// Deaths of a process at its named fault points, for sweeps.

export class SimulatedDeath extends Error {}

/** Dies at the n-th fault point that is passed (0 = never); counts what was passed. */
export function deathAt(n: number): { fault: (name: string) => void; passed: string[] } {
  const passed: string[] = [];
  return {
    passed,
    fault: (name) => {
      passed.push(name);
      if (passed.length === n) throw new SimulatedDeath(`${name} (${n})`);
    },
  };
}

/** Repeats a step as a restarted process would, until it gets through. */
export async function survive<T>(step: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof SimulatedDeath)) throw error;
    }
  }
}
