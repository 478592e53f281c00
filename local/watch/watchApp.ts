// `--watch`: a small process that runs the host as its child and starts it again when the built app changes, because
// a module that was loaded cannot be unloaded. One host at a time; the port stays the same; data is kept.
// It also starts a host again that lost its storage process, once: memory and storage then agree again.
import { type CommandLine, watchedFlag } from '../commandLine.ts';
import { listenForSignals } from '../process/signals.ts';
import { exitCodes } from '../process/startError.ts';
import { watchParent } from '../process/watchParent.ts';
import type { HostLog } from '../worker/types.ts';
import { AppChanges } from './appChanges.ts';
import { startBuild } from './buildProcess.ts';
import { HostChild } from './hostChild.ts';

export interface WatchOptions {
  commandLine: CommandLine;
  /** This program and its arguments, for the host. */
  program: string;
  args: readonly string[];
  log: HostLog;
}

/** What ends the wait while a host runs, or while none can. */
type Event = 'ended' | 'changed' | 'stop';

/** A second loss of storage within this time ends everything. */
const storageLossPauseMs = 60_000;

/** Runs until it is asked to stop, or the first host cannot start; returns the exit code. Call once per process. */
export async function watchApp(options: WatchOptions): Promise<number> {
  const { appDirectory, watch } = options.commandLine;
  const runner = new HostRunner(options);
  const command = watch?.buildCommand;
  const build = command === undefined ? undefined : startBuild(command, appDirectory, options.log);
  try {
    for (;;) {
      const exitCode = await runner.runOne();
      if (exitCode !== undefined) return exitCode;
    }
  } finally {
    build?.stop();
  }
}

/** Runs one host after the other. */
class HostRunner {
  readonly #options: WatchOptions;
  readonly #changes: AppChanges;
  readonly #stopRequested: Promise<Event>;
  #child: HostChild | undefined;
  #port: number | undefined;
  #storageLostAt = -Infinity;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#changes = new AppChanges(options.commandLine.appDirectory);
    this.#stopRequested = new Promise((resolve) => {
      const onStop = (): void => resolve('stop');
      listenForSignals(onStop, () => this.#child?.kill());
      watchParent(onStop);
    });
  }

  /** Runs a host until it has to be started again (undefined), or everything ends with an exit code. */
  async runOne(): Promise<number | undefined> {
    const { log } = this.#options;
    const abort = new AbortController();
    const loaded = await this.#changes.snapshot();
    const changed = this.#changes.wait(loaded, abort.signal).then((): Event => 'changed');
    try {
      const child = (this.#child = this.#start());
      const ended = child.exited.then((): Event => 'ended');
      const event = await Promise.race([this.#stopRequested, changed, ended]);
      this.#port ??= child.port;
      if (event === 'stop') return await child.stop();
      if (event === 'ended') return await this.#afterEnd(child, changed);
      log('information', 'Host.Watch', 'The app has changed: starting again…');
      await child.stop();
      return undefined;
    } finally {
      abort.abort();
    }
  }

  #start(): HostChild {
    const { program, args } = this.#options;
    const port = this.#port === undefined ? [] : ['--port', String(this.#port)];
    return new HostChild(program, [...args, watchedFlag, ...port]);
  }

  async #afterEnd(child: HostChild, changed: Promise<Event>): Promise<number | undefined> {
    const { log } = this.#options;
    const exitCode = await child.exited;
    if (child.hasLostStorage) {
      if (performance.now() - this.#storageLostAt < storageLossPauseMs) return exitCode;
      this.#storageLostAt = performance.now();
      log('warning', 'Host.Watch', 'Starting again; what storage acknowledged last may be lost.');
      return undefined;
    }
    const isWanted = exitCode === 0 || exitCode === 130;
    if (isWanted || (exitCode === exitCodes.cannotStart && this.#port === undefined)) return exitCode;
    log(
      'warning',
      'Host.Watch',
      `The host ended with exit code ${exitCode}; waiting for a change of the app.`,
    );
    const event = await Promise.race([this.#stopRequested, changed]);
    return event === 'stop' ? exitCode : undefined;
  }
}
