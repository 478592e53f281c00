// Strict mode's guard against azure-functions-durable-js #574: a task that was part of one Task.any/all is put into a second one.
// The SDK then reports its action twice, the extension runs it twice, and later results go to the wrong tasks.
// The report carries no identities, so the sign is: an equal action in an earlier combinator whose task is still open.
import type { Action } from './actions.ts';
import type { WalkTask } from './walkTask.ts';

export class ReuseDetector {
  /** Why the orchestration must fail; undefined while all is well. */
  violation: string | undefined;
  private combinator: Action | undefined;
  private readonly openTasks = new Map<string, { combinator: Action; task: WalkTask }[]>();

  /** Tells which top-level action the tasks noted next belong to. */
  enterTopLevel(action: Action): void {
    this.combinator = action.kind === 'any' || action.kind === 'all' ? action : undefined;
  }

  /** Registers the task of an action. */
  note(action: Action, task: WalkTask): void {
    const combinator = this.combinator;
    if (combinator === undefined) return;
    const key = JSON.stringify(action);
    const earlier = (this.openTasks.get(key) ?? []).filter((entry) => !entry.task.isDone);
    if (earlier.some((entry) => entry.combinator !== combinator)) this.violation ??= describeReuse(action);
    earlier.push({ combinator, task });
    this.openTasks.set(key, earlier);
  }
}

function describeReuse(action: Action): string {
  const what =
    'functionName' in action
      ? `'${action.functionName}'`
      : action.kind === 'timer'
        ? `the timer due at ${action.fireAt}`
        : action.kind;
  return (
    `strict mode: ${what} is in a Task.any or Task.all while the same call in an earlier one is still open. ` +
    'A task used in two combinators is scheduled twice, and later results reach the wrong tasks. ' +
    'Yield the open task by itself, finish or cancel it first, or, if these are two tasks on purpose, give them different inputs.'
  );
}
