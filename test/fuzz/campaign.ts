// A campaign: so many mutants of one seed, each held against the oracle. `npm test` runs a short one, the soak a long
// one. It ends at the first finding, which names what makes the mutant again.
import { watchAllocations } from './allocations.ts';
import { mutantOf } from './mutant.ts';
import { Finding, judge, lifeboat, type Outcome, type Subject } from './oracle.ts';

export interface CampaignOptions {
  seed: number;
  /** How many mutants. */
  count: number;
  /** Number of the first; 0 when omitted. */
  first?: number;
  /** What is tested; the product when omitted. */
  subject?: Subject;
}

/** How many mutants had which outcome. Throws Finding; its message names mutation, seed and number. */
export async function runCampaign(options: CampaignOptions): Promise<Map<Outcome, number>> {
  const { seed, count, first = 0, subject = lifeboat } = options;
  const outcomes = new Map<Outcome, number>();
  const watch = watchAllocations();
  try {
    for (let done = 0; done < count; done++) {
      const mutant = mutantOf(seed, first + done);
      const outcome = await judge(mutant, watch, subject).catch((error: unknown) => {
        const what = error instanceof Finding ? error.message : String(error);
        throw new Finding(`mutant ${mutant.index} of seed ${seed} (${mutant.mutation}): ${what}`, {
          cause: error,
          index: mutant.index,
        });
      });
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
  } finally {
    watch.stop();
  }
  return outcomes;
}
