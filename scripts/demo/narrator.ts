// What the demo prints: numbered steps in plain words with how long each took, and a table of at most 80 columns.
import { performance } from 'node:perf_hooks';

const textWidth = 70;

/** Prints steps to stdout. One demo, one narrator. */
export class Narrator {
  readonly #startedMs = performance.now();
  #count = 0;
  /** Notes of the step that runs; they are printed below it. */
  #notes: string[] | undefined;

  /** Announces a step, runs it, prints its duration. An error passes through. */
  async step<T>(text: string, work: () => Promise<T>): Promise<T> {
    this.#count++;
    const label = `${String(this.#count).padStart(2)}. ${text}`;
    const startedMs = performance.now();
    this.#notes = [];
    const result = await work();
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    this.say(`${label.padEnd(textWidth)} ${`${seconds} s`.padStart(8)}`);
    const notes = this.#notes;
    this.#notes = undefined;
    for (const note of notes) this.note(note);
    return result;
  }

  /** A remark on the step that runs, or on the last one; long ones are wrapped. */
  note(text: string): void {
    if (this.#notes) {
      this.#notes.push(text);
      return;
    }
    let line = '';
    for (const word of text.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > textWidth) {
        this.say(`      ${line}`);
        line = word;
      } else line = line === '' ? word : `${line} ${word}`;
    }
    this.say(`      ${line}`);
  }

  say(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  get elapsedSeconds(): number {
    return (performance.now() - this.#startedMs) / 1000;
  }

  /** Columns are as wide as their widest cell. */
  table(rows: readonly (readonly string[])[]): void {
    const widths: number[] = [];
    for (const row of rows)
      row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
    for (const row of rows)
      this.say(
        row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd(),
      );
  }
}
