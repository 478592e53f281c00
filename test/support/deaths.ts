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

/** The API answers with this when its process "dies" in a request. */
const answerOfDeath = 'Something unexpected';

/** Repeats a step as its caller would after a lost answer, at most four times; a death that the API answered counts as one. */
export async function repeatAfterDeath(step: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; tries < 4; tries++) {
    try {
      await step();
      return;
    } catch (error) {
      const isAnswered = error instanceof Error && error.message.includes(answerOfDeath);
      if (!(error instanceof SimulatedDeath) && !isAnswered) throw error;
    }
  }
}
