// Finds requests whose client has stopped in the middle of a body, or sends it drop by drop. Large and long uploads pass:
// what counts is that bytes keep coming, and only while it is the client that the request waits for.
import type { IncomingMessage } from 'node:http';
import type { ConnectionLimits } from './connectionLimits.ts';

interface Window {
  startedAtMs: number;
  /** Bytes that the connection had received by then. */
  startBytes: number;
  onTooSlow: () => void;
}

export class BodyRateGuard {
  readonly #limits: ConnectionLimits;
  readonly #windows = new Map<IncomingMessage, Window>();
  #timer: NodeJS.Timeout | undefined;
  #checkedAtMs = 0;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  /** `onTooSlow` is called at most once, while the body of this request is incomplete. */
  watch(request: IncomingMessage, onTooSlow: () => void): void {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
    if (encoding === undefined && Number(length ?? 0) === 0) return;
    this.#windows.set(request, {
      startedAtMs: performance.now(),
      startBytes: request.socket.bytesRead,
      onTooSlow,
    });
    request.once('close', () => this.#windows.delete(request));
    this.#timer ??= this.#start();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#windows.clear();
  }

  #start(): NodeJS.Timeout {
    this.#checkedAtMs = performance.now();
    return setInterval(() => this.#check(), this.#limits.checkIntervalMs).unref();
  }

  #check(): void {
    const { checkIntervalMs, bodyWindowMs } = this.#limits;
    const now = performance.now();
    // A host that stood still, at a breakpoint for example, has not read what came in meanwhile.
    const wasAway = now - this.#checkedAtMs > 3 * checkIntervalMs;
    this.#checkedAtMs = now;
    for (const [request, window] of this.#windows) {
      if (request.complete) {
        this.#windows.delete(request);
      } else if (wasAway || request.readableLength > 0) {
        // The app has not taken what is there: the client is not the one that is slow.
        this.#restart(request, window, now);
      } else if (now - window.startedAtMs >= bodyWindowMs) {
        if (this.#isFastEnough(request, window, now)) this.#restart(request, window, now);
        else {
          this.#windows.delete(request);
          window.onTooSlow();
        }
      }
    }
  }

  #restart(request: IncomingMessage, window: Window, now: number): void {
    window.startedAtMs = now;
    window.startBytes = request.socket.bytesRead;
  }

  #isFastEnough(request: IncomingMessage, window: Window, now: number): boolean {
    const seconds = (now - window.startedAtMs) / 1000;
    const bytes = request.socket.bytesRead - window.startBytes;
    return bytes >= this.#limits.minBodyBytesPerSecond * seconds;
  }
}
