// Writes the log to standard output, as text for people or as JSON lines for programs, filtered by the levels
// of host.json (`logging.logLevel`, longest matching category first).
import { format } from 'node:util';
import type { HostLog, LogLevel } from './worker/types.ts';

const order: readonly LogLevel[] = ['trace', 'debug', 'information', 'warning', 'error', 'critical'];
const labels: Record<LogLevel, string> = {
  trace: 'trace',
  debug: 'debug',
  information: 'info ',
  warning: 'warn ',
  error: 'error',
  critical: 'crit ',
};

/** `Worker` is what the app's libraries say of themselves. */
const defaultLevels = { default: 'Information', Worker: 'Warning' };

export class LogWriter {
  readonly #isJson: boolean;
  readonly #write: (line: string) => void;
  #levels: readonly (readonly [prefix: string, minimum: number])[] = [];

  constructor(options: { isJson: boolean; write: (line: string) => void }) {
    this.#isJson = options.isJson;
    this.#write = options.write;
    this.setLevels({});
  }

  /** Replaces the filter; `levels` maps category prefixes (or `default`) to level names, `None` to nothing at all. */
  setLevels(levels: Readonly<Record<string, string>>): void {
    const entries = Object.entries({ ...defaultLevels, ...levels }).map(([category, name]) => {
      const level = order.indexOf(name.toLowerCase() as LogLevel);
      const minimum =
        level >= 0 ? level : name.toLowerCase() === 'none' ? order.length : order.indexOf('information');
      return [category.toLowerCase() === 'default' ? '' : category, minimum] as const;
    });
    this.#levels = entries.sort(([one], [other]) => other.length - one.length);
  }

  readonly log: HostLog = (level, category, message) => {
    const minimum = this.#levels.find(
      ([prefix]) => prefix === '' || category === prefix || category.startsWith(`${prefix}.`),
    );
    if (order.indexOf(level) < (minimum?.[1] ?? 0)) return;
    const time = new Date().toISOString();
    if (this.#isJson) this.#write(JSON.stringify({ time, level, category, message }));
    else this.#write(`[${time}] ${labels[level]} ${category}: ${message}`);
  };
}

/** Sends the app's own `console` output through the log, as the real host does with the worker's output. */
export function captureConsole(log: HostLog): void {
  const to =
    (level: LogLevel) =>
    (...args: unknown[]) =>
      log(level, 'Console', format(...args));
  console.debug = to('debug');
  console.log = console.info = to('information');
  console.warn = to('warning');
  console.error = console.trace = to('error');
}
