// `lifeboat agent run` in a process, as an administrator runs it: it can be killed, and what it says can be waited for.
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { eventually } from './protectedVm.ts';

const cli = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'lifeboat.mjs');

const children = new Set<ChildProcess>();
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

export class AgentProcess {
  readonly config: string;
  output = '';
  #seenChars = 0;
  #child: ChildProcess | undefined;

  constructor(config: string) {
    this.config = config;
  }

  start(): void {
    const child = spawn(process.execPath, [cli, 'agent', 'run', '--config', this.config], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    children.add(child);
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    child.on('close', () => children.delete(child));
  }

  /** Ends it, and returns when all that it said is in `output`. Called again: the exit code. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || !children.has(child)) return child?.exitCode ?? null;
    const closed = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
    child.kill(signal);
    return closed;
  }

  /** Waits until it says so, after what was last waited for. */
  async saw(text: string): Promise<void> {
    const from = this.#seenChars;
    await this.during(`the agent says "${text}"`, async () => this.output.includes(text, from) || undefined);
    this.#seenChars = this.output.indexOf(text, from) + text.length;
  }

  /** Waits for something that the agent does, and shows what it said when it does not come. */
  async during<T>(what: string, find: () => Promise<T | undefined>, seconds = 60): Promise<T> {
    return eventually(what, find, seconds).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.output.slice(-3000)}`);
    });
  }
}
