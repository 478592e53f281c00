// The socket under an NBD client: bytes out, pieces in, and one way to fail.
import net from 'node:net';
import type { NbdAddress } from './address.ts';
import { answerInvalid, serverGone } from './errors.ts';
import { StreamFiller } from './filler.ts';

const receiveBufferBytes = 256 * 1024;

/** A connection that fails as a whole: after the first failure every request gets that error. */
export class NbdConnection {
  readonly location: string;
  readonly #socket: net.Socket;
  readonly #filler = new StreamFiller();
  readonly #failed: Promise<never>;
  readonly #ended: Promise<void>;
  #reject: (error: Error) => void = () => undefined;
  #failure: Error | undefined;
  #onFailure: ((error: Error) => void) | undefined;

  constructor(address: NbdAddress, location: string) {
    this.location = location;
    this.#failed = new Promise<never>((_, reject) => {
      this.#reject = reject;
    });
    this.#failed.catch(() => undefined);
    const onread = {
      buffer: Buffer.allocUnsafe(receiveBufferBytes),
      callback: (count: number, buffer: Uint8Array) => {
        this.#receive(Buffer.from(buffer.buffer, buffer.byteOffset, count));
        return true;
      },
    };
    this.#socket = net.connect({ ...address.socket, onread });
    if ('host' in address.socket) this.#socket.setNoDelay(true);
    this.#ended = new Promise((resolve) => this.#socket.once('close', () => resolve()));
    this.#socket.on('error', (error) => this.fail(serverGone(location, `NBD: ${error.message}`, error)));
    this.#socket.on('close', () => this.fail(serverGone(location, 'the NBD server closed the connection')));
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  #receive(bytes: Buffer): void {
    if (this.#failure) return;
    try {
      this.#filler.feed(bytes);
    } catch (error) {
      const isOurs = error instanceof Error && !(error instanceof RangeError);
      this.fail(isOurs ? error : answerInvalid(this.location, `NBD: ${String(error)}`));
    }
  }

  /** Ends the connection with this error. The first one counts. */
  fail(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#reject(error);
    this.#onFailure?.(error);
    this.#socket.destroy();
  }

  /** Called once, when the connection fails; at once when it has failed already. */
  onFailure(listener: (error: Error) => void): void {
    this.#onFailure = listener;
    if (this.#failure) listener(this.#failure);
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  expect(target: Buffer, then: (target: Buffer) => void): void {
    this.#filler.expect(target, then);
  }

  /** The next bytes, for the handshake. */
  take(lengthBytes: number): Promise<Buffer> {
    const taken = new Promise<Buffer>((resolve) => this.expect(Buffer.alloc(lengthBytes), resolve));
    return Promise.race([taken, this.#failed]);
  }

  /** Sends the last bytes and waits until the server hangs up, at most `patienceMs`. */
  async end(lastBytes: Uint8Array, error: Error, patienceMs = 2000): Promise<void> {
    const wasAlive = this.#failure === undefined;
    this.#failure ??= error;
    this.#onFailure?.(this.#failure);
    this.#reject(this.#failure);
    if (wasAlive) this.#socket.end(lastBytes);
    const timer = setTimeout(() => this.#socket.destroy(), patienceMs);
    await this.#ended;
    clearTimeout(timer);
  }
}
