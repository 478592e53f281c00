// The program that holds the writes of a machine, for a moment of a consistency group. It holds them while it runs and its
// standard input is open: they go on when the agent says so, and when the agent dies.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../../fileErrors.ts';
import type { Program } from './runProgram.ts';

/** What it prints once no write that is not in the disks will reach them. */
const heldLine = 'held';
const defaultTimeoutSeconds = 10;
const shownErrorChars = 500;

/** Writes that are held, or were to be. */
export class HeldWrites {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #timeoutMs: number;
  readonly #ended: Promise<void>;
  #stderr = '';
  #failure: string | undefined;
  #hasEnded = false;
  /** Why they are not held; undefined while they are. */
  problem: string | undefined;

  private constructor({ command, timeoutSeconds = defaultTimeoutSeconds }: Program, environment: object) {
    const [file = '', ...args] = command;
    this.#name = `${file} hold`;
    this.#timeoutMs = timeoutSeconds * 1000;
    this.#child = spawn(file, [...args, 'hold'], {
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const { stdin, stderr } = this.#child;
    // A program that has ended does not read: its exit tells.
    stdin?.on('error', () => undefined);
    stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('utf8')).slice(-shownErrorChars);
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#failure = `cannot be started: ${errnoOf(error) ?? error.message}`;
        this.#hasEnded = true;
        resolve();
      });
      this.#child.once('exit', () => {
        this.#hasEnded = true;
        resolve();
      });
    });
  }

  /** Starts the program, and waits until it says that it holds. Never throws: `problem` says why the writes are not held. */
  static async begin(program: Program, environment: Readonly<Record<string, string>>): Promise<HeldWrites> {
    const held = new HeldWrites(program, environment);
    await held.#awaitHeld();
    return held;
  }

  async #awaitHeld(): Promise<void> {
    const { stdout } = this.#child;
    if (!stdout) return void (this.problem = this.#failed('has no output'));
    const stop = new AbortController();
    const lines = createInterface({ input: stdout });
    const isHeld = new Promise<boolean>((resolve) => {
      lines.on('line', (line) => {
        if (line.trim() === heldLine) resolve(true);
      });
    });
    const first = await Promise.race([
      isHeld,
      this.#ended,
      sleep(this.#timeoutMs, undefined, { signal: stop.signal }).catch(() => undefined),
    ]);
    stop.abort();
    if (first === true) return;
    this.problem = this.#failed(
      this.#failure ?? (this.#hasEnded ? 'ended without holding' : 'did not hold in time'),
    );
  }

  /**
   * Lets the writes go on. Resolves with why they were not held from `begin` until now; null when they were. Never throws; call it
   * once.
   */
  async end(): Promise<string | null> {
    if (this.problem === undefined && this.#hasEnded) this.problem = this.#failed('ended by itself');
    this.#child.stdin?.end();
    const stop = new AbortController();
    const late = sleep(this.#timeoutMs, 'late' as const, { signal: stop.signal }).catch(() => undefined);
    if ((await Promise.race([this.#ended, late])) === 'late') {
      this.problem ??= this.#failed('did not end after its input had ended, and was killed');
      const gone = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await gone;
    }
    stop.abort();
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== 0) this.problem ??= this.#failed(`ended with ${exitCode ?? signalCode}`);
    return this.problem ?? null;
  }

  #failed(why: string): string {
    const said = this.#stderr.trim();
    return `the program ${this.#name} ${why}${said === '' ? '' : `: ${said}`}`;
  }
}
