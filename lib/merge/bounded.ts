// Runs one task per item with a bounded number in flight. The promise settles only when nothing is in flight any
// more: after a failure no late write can land behind the caller's back.

export interface Bound {
  /** Tasks in flight at once. */
  concurrency: number;
  /** Stops taking items; those in flight finish first, then the signal's reason is thrown. */
  signal?: AbortSignal | undefined;
}

/**
 * Takes no further item after the first error, waits for the tasks in flight, then throws that error. An item that was
 * waited for when the error came is still given to the task.
 */
export async function forEachBounded<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  bound: Bound,
  task: (item: Item) => Promise<void>,
): Promise<void> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  const errors: unknown[] = [];
  const work = async (): Promise<void> => {
    try {
      while (errors.length === 0) {
        bound.signal?.throwIfAborted();
        const next = await iterator.next();
        if (next.done === true) return;
        await task(next.value);
      }
    } catch (error) {
      errors.push(error);
    }
  };
  await Promise.all(Array.from({ length: bound.concurrency }, work));
  await iterator.return?.();
  if (errors.length > 0) throw errors[0];
}
