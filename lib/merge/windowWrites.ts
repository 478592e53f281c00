// Tells when the writes of a window have ended, so that its arena may be filled again.

export class WindowWrites {
  readonly ended: Promise<void>;
  #resolve: () => void = () => undefined;
  // One for whoever hands them out.
  #openCount = 1;

  constructor() {
    this.ended = new Promise((resolve) => (this.#resolve = resolve));
  }

  begin(): void {
    this.#openCount++;
  }

  /** Once for each that began, and once when no more will begin. */
  end(): void {
    if (--this.#openCount === 0) this.#resolve();
  }
}
