// A terminal that can be read: what a person would see after everything that was written to it.
import { Writable } from 'node:stream';

export class FakeTerminal extends Writable {
  readonly isTTY = true;
  /** The longest line that was ever there. */
  widest = 0;
  /** Every line that was ever there, as it was when the cursor left it or it was erased. */
  readonly seen = new Set<string>();
  #rows: string[] = [''];
  #row = 0;

  constructor() {
    super({
      decodeStrings: false,
      write: (chunk: string, _encoding, done) => {
        this.#take(chunk);
        done();
      },
    });
  }

  /** Lines from top to bottom, without empty ones. */
  get lines(): string[] {
    return this.#rows.filter((row) => row !== '');
  }

  #take(text: string): void {
    // eslint-disable-next-line no-control-regex -- this is what a terminal reads
    for (const [part] of text.matchAll(/\u001b\[[0-9?;]*[A-Za-z]|\n|\r|[^\u001b\n\r]+/g)) this.#do(part);
  }

  #do(part: string): void {
    if (part === '\n') {
      this.#row++;
      this.#rows[this.#row] ??= '';
    } else if (part === '\u001b[1A') this.#row = Math.max(0, this.#row - 1);
    else if (part === '\u001b[2K') this.#rows[this.#row] = '';
    else if (!part.startsWith('\u001b') && part !== '\r') {
      // Lines are always erased before they are written anew.
      const line = (this.#rows[this.#row] ?? '') + part;
      this.#rows[this.#row] = line;
      this.widest = Math.max(this.widest, line.length);
      this.seen.add(line);
    }
  }
}
