// What a long command shows of itself while it works: lines that change in place on a terminal, a plain line now and then
// elsewhere (a journal, a pipe), nothing with --json. Always on stderr: stdout is for results.
import type { Io } from '../io.ts';
import { cut } from '../table.ts';
import { openTerminalView, type TerminalView } from './terminalView.ts';

const lineChars = 78;
const updateMs = 200;
const plainEveryMs = 10_000;

export interface LiveOptions {
  /** Shows nothing. */
  isQuiet: boolean;
  /** Between two plain lines. Default 10 seconds. */
  plainEveryMs?: number;
}

export class LiveText {
  readonly #io: Io;
  readonly #mode: 'nothing' | 'terminal' | 'plain';
  readonly #plainEveryMs: number;
  #view: Promise<TerminalView> | undefined;
  #opened: TerminalView | undefined;
  #lines: readonly string[] = [];
  #shownMs: number;

  constructor(io: Io, options: LiveOptions) {
    this.#io = io;
    this.#mode = options.isQuiet ? 'nothing' : io.stderr.isTTY === true ? 'terminal' : 'plain';
    this.#plainEveryMs = options.plainEveryMs ?? plainEveryMs;
    this.#shownMs = this.nowMs();
  }

  /** Milliseconds of the clock that everything here goes by. */
  nowMs(): number {
    return this.#io.now?.() ?? Date.now();
  }

  /** False while another picture would come too early: then it need not be made. */
  get isDue(): boolean {
    if (this.#mode === 'nothing') return false;
    return this.nowMs() - this.#shownMs >= (this.#mode === 'terminal' ? updateMs : this.#plainEveryMs);
  }

  /** Shows the lines when it is time to; with `isNews` at once. Without a terminal they are `plain`. */
  show(lines: readonly string[], { isNews = false, plain = lines } = {}): void {
    if (this.#mode === 'nothing' || !(isNews || this.isDue)) return;
    this.#shownMs = this.nowMs();
    if (this.#mode === 'plain') {
      for (const line of plain) this.#io.stderr.write(`${line}\n`);
      return;
    }
    // Two columns are for the icon.
    this.#lines = lines.map((line) => cut(line, lineChars));
    this.#view ??= openTerminalView(this.#io.stderr).then((view) => (this.#opened = view));
    if (this.#opened) this.#opened.show(this.#lines);
    else void this.#view.then((view) => view.show(this.#lines));
  }

  /** A line that stays, above those that change. */
  print(line: string): void {
    if (this.#opened) this.#opened.print(line);
    else this.#io.stderr.write(`${line}\n`);
  }

  /** Removes the lines that change. May be called twice. */
  async end(): Promise<void> {
    const view = await this.#view;
    await view?.end();
  }
}
