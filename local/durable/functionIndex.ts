// Finds the app's Durable functions by kind and name. Names are compared without case, as the host does.
import type { LoadedFunction } from '../worker/types.ts';

export type DurableFunctionKind = 'orchestrator' | 'activity';

const triggerTypes: Record<DurableFunctionKind, string> = {
  orchestrator: 'orchestrationTrigger',
  activity: 'activityTrigger',
};

export class FunctionIndex {
  private readonly byKey = new Map<string, LoadedFunction>();

  constructor(functions: readonly LoadedFunction[]) {
    for (const one of functions) this.byKey.set(keyOf(one.trigger.type, one.name), one);
  }

  find(kind: DurableFunctionKind, name: string): LoadedFunction | undefined {
    return this.byKey.get(keyOf(triggerTypes[kind], name));
  }

  /** Why a name cannot be called; the extension's sentence. */
  describeMissing(kind: DurableFunctionKind, name: string): string {
    const known = [...this.byKey.values()]
      .filter((one) => one.trigger.type === triggerTypes[kind])
      .map((one) => one.name);
    const list = known.length === 0 ? 'The app registers none.' : `The app registers: ${known.join(', ')}.`;
    return `The function '${name}' doesn't exist, is disabled, or is not an ${kind} function. ${list}`;
  }
}

function keyOf(triggerType: string, name: string): string {
  return `${triggerType.toLowerCase()}/${name.toLowerCase()}`;
}
