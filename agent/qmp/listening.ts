// Whether anybody listens at a Unix socket: a question of its own, because "nobody" says that a program has ended, and
// not being able to ask does not.
import net from 'node:net';
import { LifeboatError } from '../../lib/errors.ts';
import { errnoOf } from '../fileErrors.ts';

/** Unix sockets have no longer names; the system's library cuts a longer one without a word, and would ask elsewhere. */
export const maxSocketPathBytes = 107;

/** No such file, or a file that nobody has bound and listens at. */
const nobodyListens: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ECONNREFUSED']);

/** Connects and hangs up. Throws `SourceUnavailable`, naming the socket, when it cannot tell. */
export async function isListening(socketPath: string): Promise<boolean> {
  const cannotTell = (why: string, cause?: unknown): LifeboatError =>
    new LifeboatError('SourceUnavailable', `${socketPath}: cannot tell whether anybody listens: ${why}`, {
      target: socketPath,
      cause,
    });
  if (Buffer.byteLength(socketPath) > maxSocketPathBytes)
    throw cannotTell(`it is longer than the ${maxSocketPathBytes} bytes of a socket's path`);
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path: socketPath });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      if (nobodyListens.has(errnoOf(error))) resolve(false);
      else reject(cannotTell(error.message, error));
    });
  });
}
