// The QEMU Machine Protocol: one JSON object a line. Replies are matched by id, because events come between them; events
// are kept until somebody asks, because they may come before the reply that makes one wait for them.
import net from 'node:net';
import { LifeboatError } from '../../lib/errors.ts';

const maxLineBytes = 16 * 1024 * 1024;
const maxKeptEvents = 256;
const newline = 10;

/** A command that QEMU refused. */
export class QmpError extends LifeboatError {
  readonly command: string;
  /** `GenericError`, `DeviceNotFound`, … */
  readonly errorClass: string;
  readonly description: string;

  constructor(location: string, command: string, errorClass: string, description: string) {
    super('SourceAnswerInvalid', `${location}: QEMU refused ${command}: ${description}`, {
      target: location,
    });
    this.name = 'QmpError';
    this.command = command;
    this.errorClass = errorClass;
    this.description = description;
  }
}

export interface QmpEvent {
  event: string;
  data: Readonly<Record<string, unknown>>;
}

export interface QmpVersion {
  major: number;
  minor: number;
}

export interface QmpOptions {
  /** The monitor must be ours alone: it serves one client at a time, and others are left waiting. */
  socketPath: string;
  /** For the greeting and for each command; 30 s when omitted. */
  timeoutMs?: number;
}

interface Waiter {
  command: string;
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
  timer: NodeJS.Timeout;
}

interface EventWaiter {
  matches: (event: QmpEvent) => boolean;
  resolve: (event: QmpEvent) => void;
  reject: (error: Error) => void;
  timer: NodeJS.Timeout;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

/** A connection in command mode. After a failure (timeout, hang-up, nonsense) every call fails with that error. */
export class QmpClient implements AsyncDisposable {
  readonly location: string;
  version: QmpVersion = { major: 0, minor: 0 };
  readonly #socket: net.Socket;
  readonly #timeoutMs: number;
  readonly #waiters = new Map<number, Waiter>();
  readonly #events: QmpEvent[] = [];
  readonly #eventWaiters = new Set<EventWaiter>();
  readonly #ended: Promise<void>;
  #parts: Buffer[] = [];
  #partBytes = 0;
  #nextId = 1;
  #failure: Error | undefined;
  #onGreeting: ((greeting: Record<string, unknown>) => void) | undefined;

  private constructor(options: QmpOptions) {
    this.location = options.socketPath;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#socket = net.connect({ path: options.socketPath });
    this.#ended = new Promise((resolve) => this.#socket.once('close', () => resolve()));
    this.#socket.on('data', (bytes) => this.#receive(bytes));
    this.#socket.on('error', (error) => this.#fail(this.#gone(error.message, error)));
    this.#socket.on('close', () => this.#fail(this.#gone('QEMU closed the monitor')));
  }

  /** Throws `SourceUnavailable` when nobody answers, `SourceAnswerInvalid` when it is no QMP monitor. */
  static async connect(options: QmpOptions): Promise<QmpClient> {
    const client = new QmpClient(options);
    try {
      await client.#awaitGreeting();
      await client.execute('qmp_capabilities');
      return client;
    } catch (error) {
      client.#fail(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  #gone(what: string, cause?: unknown): LifeboatError {
    return new LifeboatError('SourceUnavailable', `${this.location}: ${what}`, {
      target: this.location,
      cause,
    });
  }

  #invalid(what: string): LifeboatError {
    return new LifeboatError('SourceAnswerInvalid', `${this.location}: ${what}`, { target: this.location });
  }

  async #awaitGreeting(): Promise<void> {
    const greeting = await new Promise<Record<string, unknown>>((resolve, reject) => {
      const fail = (): void => this.#fail(this.#gone('no greeting of QEMU; is another client connected?'));
      const timer = setTimeout(fail, this.#timeoutMs);
      this.#onGreeting = (value) => {
        clearTimeout(timer);
        resolve(value);
      };
      this.#waiters.set(0, { command: 'greeting', resolve: () => undefined, reject, timer });
    });
    this.#waiters.delete(0);
    const version = isRecord(greeting['version']) ? greeting['version']['qemu'] : undefined;
    const { major, minor } = isRecord(version) ? version : {};
    if (typeof major !== 'number' || typeof minor !== 'number')
      throw this.#invalid('a greeting without the version of QEMU');
    this.version = { major, minor };
  }

  /** Runs a command. Throws QmpError when QEMU refuses it, `SourceUnavailable` when it does not answer. */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      // Nobody knows whether the command was done: nothing that follows could rely on anything.
      const expire = (): void =>
        this.#fail(this.#gone(`QEMU did not answer ${command} within ${this.#timeoutMs} ms`));
      this.#waiters.set(id, { command, resolve, reject, timer: setTimeout(expire, this.#timeoutMs) });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args ?? {}, id })}\n`);
    });
  }

  /** The first event that matches, also one that came before this call; it is taken out. */
  waitForEvent(matches: (event: QmpEvent) => boolean): Promise<QmpEvent> {
    const index = this.#events.findIndex(matches);
    const [found] = index < 0 ? [] : this.#events.splice(index, 1);
    if (found) return Promise.resolve(found);
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const expire = (): void =>
        this.#fail(this.#gone(`QEMU did not report an event within ${this.#timeoutMs} ms`));
      this.#eventWaiters.add({ matches, resolve, reject, timer: setTimeout(expire, this.#timeoutMs) });
    });
  }

  /** Takes out the events of this name that have come; how many they were. */
  takeEvents(name: string): number {
    const kept = this.#events.filter(({ event }) => event !== name);
    const taken = this.#events.length - kept.length;
    this.#events.splice(0, this.#events.length, ...kept);
    return taken;
  }

  #receive(bytes: Buffer): void {
    let rest = bytes;
    for (let end = rest.indexOf(newline); end >= 0; end = rest.indexOf(newline)) {
      const line = Buffer.concat([...this.#parts, rest.subarray(0, end)]).toString('utf8');
      this.#parts = [];
      this.#partBytes = 0;
      rest = rest.subarray(end + 1);
      if (line.trim() !== '') this.#takeLine(line);
    }
    if (rest.length === 0) return;
    this.#partBytes += rest.length;
    if (this.#partBytes > maxLineBytes) this.#fail(this.#invalid('a line that does not end'));
    else this.#parts.push(rest);
  }

  #takeLine(line: string): void {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      message = undefined;
    }
    if (!isRecord(message)) this.#fail(this.#invalid('says what is no JSON object; is it a QMP monitor?'));
    else if (isRecord(message['QMP'])) this.#onGreeting?.(message['QMP']);
    else if (typeof message['event'] === 'string') this.#takeEvent(message['event'], message['data']);
    else this.#takeReply(message);
  }

  #takeEvent(event: string, data: unknown): void {
    const taken: QmpEvent = { event, data: isRecord(data) ? data : {} };
    for (const waiter of this.#eventWaiters) {
      if (!waiter.matches(taken)) continue;
      this.#eventWaiters.delete(waiter);
      clearTimeout(waiter.timer);
      waiter.resolve(taken);
      return;
    }
    this.#events.push(taken);
    if (this.#events.length > maxKeptEvents) this.#events.shift();
  }

  #takeReply(message: Record<string, unknown>): void {
    const { id, error } = message;
    const waiter = typeof id === 'number' ? this.#waiters.get(id) : undefined;
    if (!waiter) return;
    this.#waiters.delete(Number(id));
    clearTimeout(waiter.timer);
    if (isRecord(error)) {
      const [errorClass, description] = [error['class'], error['desc']].map((text) =>
        typeof text === 'string' ? text : 'no reason given',
      );
      waiter.reject(new QmpError(this.location, waiter.command, errorClass ?? '', description ?? ''));
    } else waiter.resolve(message['return']);
  }

  #fail(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    for (const { reject, timer } of [...this.#waiters.values(), ...this.#eventWaiters]) {
      clearTimeout(timer);
      reject(error);
    }
    this.#waiters.clear();
    this.#eventWaiters.clear();
    this.#socket.destroy();
  }

  /** Hangs up; what QEMU was told stays done. May be called twice. */
  async close(): Promise<void> {
    this.#fail(this.#gone('the monitor was closed'));
    await this.#ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
