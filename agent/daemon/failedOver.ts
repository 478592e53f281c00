// While the machine runs elsewhere: nothing is sent, nothing is started; what people should know is said.
import type { MachinePower } from '../power/machinePower.ts';
import type { Assignment } from '../serviceClient.ts';
import { undoFailback } from './failback.ts';
import { letGo, type ItemContext } from './itemContext.ts';
import { messageOf } from './failures.ts';
import { shipPending } from './shipCycle.ts';

/** Hypervisors are not asked more often than that. */
const lookEveryMs = 30_000;
const looks = new WeakMap<MachinePower, { atMs: number; isRunning: boolean }>();

async function look(power: MachinePower): Promise<boolean> {
  const last = looks.get(power);
  if (last && Date.now() - last.atMs < lookEveryMs) return last.isRunning;
  const isRunning = await power.isRunning();
  looks.set(power, { atMs: Date.now(), isRunning });
  return isRunning;
}

/** What an administrator reads in `lifeboat agent status`. */
async function describe({ source, state }: ItemContext, { failback }: Assignment): Promise<string> {
  if (failback && state.current.failback?.isVerified === true)
    return 'failed back; start the machine here, then reProtect';
  if (!source.power)
    return 'failed over; the machine must stay off here (no "power" in agent.yaml to see whether it is)';
  try {
    const isRunning = await look(source.power);
    return isRunning
      ? `failed over, but machine ${source.machine} RUNS HERE too: shut one of them down`
      : 'failed over; the machine is off here and must stay so';
  } catch (error) {
    return `failed over; whether the machine is off here is not known: ${messageOf(error)}`;
  }
}

/** May be called again and again. */
export async function stayOff(context: ItemContext, assignment: Assignment): Promise<void> {
  const { state, tracker } = context;
  const { pending } = state.current;
  // The last cycle, when the failover was faster than our look at it.
  if (pending !== null && assignment.appliedCycle >= pending.cycle) await shipPending(context, assignment);
  await letGo(context);
  if (!assignment.failback) await undoFailback(context);
  await tracker.close();
  const doing = await describe(context, assignment);
  if (doing !== context.said) context.log(`${context.item}: ${doing}`);
  context.said = doing;
  context.report({ doing });
}
