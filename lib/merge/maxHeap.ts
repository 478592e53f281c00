// A binary heap of numbers with the largest on top: the newest of the log entries that cover a place on the disk.

/** Holds at most `capacity` unsigned 32-bit numbers. */
export class MaxHeap {
  readonly #items: Uint32Array;
  #size = 0;

  constructor(capacity: number) {
    this.#items = new Uint32Array(capacity);
  }

  get size(): number {
    return this.#size;
  }

  /** The largest. 0 when the heap is empty: look at `size` first. */
  get top(): number {
    return this.#at(0);
  }

  push(item: number): void {
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = this.#at(parent);
      if (above >= item) break;
      this.#items[at] = above;
      at = parent;
    }
    this.#items[at] = item;
  }

  /** Removes the largest. */
  pop(): void {
    const item = this.#at(--this.#size);
    let at = 0;
    for (let child = 1; child < this.#size; child = 2 * at + 1) {
      const right = child + 1;
      if (right < this.#size && this.#at(right) > this.#at(child)) child = right;
      const below = this.#at(child);
      if (below <= item) break;
      this.#items[at] = below;
      at = child;
    }
    this.#items[at] = item;
  }

  #at(index: number): number {
    return this.#items[index] ?? 0;
  }
}
