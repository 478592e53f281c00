// A host as a child of the watcher: tells what became of it, and asks it to stop.
import { type ChildProcess, spawn } from 'node:child_process';
import type { HostReport, WatcherRequest } from './watchMessages.ts';

export class HostChild {
  readonly #child: ChildProcess;
  #port: number | undefined;
  #hasLostStorage = false;
  /** The exit code; 1 for a signal. */
  readonly exited: Promise<number>;

  /** Starts the program; its output goes where this process's goes. */
  constructor(program: string, args: readonly string[]) {
    // An inspector of the watcher's own would claim the host's port.
    const nodeArgs = process.execArgv.filter((argument) => !argument.startsWith('--inspect'));
    this.#child = spawn(process.execPath, [...nodeArgs, program, ...args], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child.on('message', (message: HostReport) => {
      if (message.type === 'ready') this.#port = message.port;
      else this.#hasLostStorage = true;
    });
    this.exited = new Promise((resolve) => {
      this.#child.once('exit', (code) => resolve(code ?? 1));
      this.#child.once('error', () => resolve(1));
    });
  }

  /** Where it listens; undefined until it is ready. */
  get port(): number | undefined {
    return this.#port;
  }

  /** True when it ends because its storage process died. */
  get hasLostStorage(): boolean {
    return this.#hasLostStorage;
  }

  /** Asks it to stop and waits for its exit code. May be called twice. */
  async stop(): Promise<number> {
    const request: WatcherRequest = { type: 'stop' };
    if (this.#child.connected) this.#child.send(request, () => undefined);
    return this.exited;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
