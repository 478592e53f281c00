// Lines at the bottom of a terminal that change in place, drawn by listr2, which is loaded only when there is something to draw.
import type { Writable } from 'node:stream';
import type { ListrDefaultRendererLogLevels } from 'listr2';

export interface TerminalView {
  /** Replaces the lines. */
  show(lines: readonly string[]): void;
  /** A line above them that stays. */
  print(line: string): void;
  /** Removes the lines. May be called twice. */
  end(): Promise<void>;
}

const eraseLine = '\u001b[2K';
/** Cursor movements and erasing that come before a picture. */
// eslint-disable-next-line no-control-regex -- escape sequences are what this is about
const leadingEscapes = /^(?:\u001b\[[0-9?;]*[A-Za-z])+/;

/** What listr2 takes for its terminal: passes everything on, and knows the picture that is there, to draw it again below a line. */
class Screen {
  readonly #stream: Writable;
  #picture = '';

  constructor(stream: Writable) {
    this.#stream = stream;
  }

  readonly columns = 80;
  readonly isTTY = true;
  readonly write = (chunk: string): boolean => {
    const shown = chunk.replace(leadingEscapes, '');
    if (shown !== '') this.#picture = shown;
    else if (chunk.includes(eraseLine)) this.#picture = '';
    return this.#stream.write(chunk);
  };

  print(line: string): void {
    // The cursor is in the empty line below the picture.
    const rows = this.#picture.split('\n').length - 1;
    const erase = rows === 0 ? '' : `\r${`\u001b[1A${eraseLine}`.repeat(rows)}`;
    this.#stream.write(`${erase}${line}\n${this.#picture}`);
  }
}

/** Nothing is drawn before the first `show`. */
export async function openTerminalView(stream: Writable): Promise<TerminalView> {
  const { DefaultRenderer, Listr, ListrLogger, ProcessOutput } = await import('listr2');
  // Whether there is a terminal was decided by who calls; listr2 would look at standard output.
  class ScreenRenderer extends DefaultRenderer {
    static override nonTTY = true;
  }
  const screen = new Screen(stream);
  const terminal = screen as unknown as NodeJS.WriteStream;
  let finish: () => void = () => undefined;
  const isOver = new Promise<void>((resolve) => (finish = resolve));
  let wrapper: { title?: string | undefined } | undefined;
  let running: Promise<unknown> | undefined;
  let latest = '';
  const start = (title: string): Promise<unknown> =>
    new Listr(
      [
        {
          title,
          task: (_, task) => {
            wrapper = task;
            task.title = latest;
            return isOver;
          },
        },
      ],
      {
        renderer: ScreenRenderer,
        // Signals are the command's own matter.
        registerSignalListeners: false,
        rendererOptions: {
          lazy: true,
          clearOutput: true,
          formatOutput: 'truncate',
          logger: new ListrLogger<ListrDefaultRendererLogLevels>({
            processOutput: new ProcessOutput(terminal, terminal),
          }),
        },
      },
    ).run();
  return {
    show(lines) {
      latest = lines.join('\n');
      running ??= start(latest);
      if (wrapper) wrapper.title = latest;
    },
    print: (line) => screen.print(line),
    async end() {
      finish();
      await running;
    },
  };
}
