// Keeps the HTTP-streaming server that @azure/functions opens inside the worker on the loopback interface:
// the library listens on all interfaces, and a local host must not be reachable from the network.
import { Server } from 'node:net';

type Listen = (this: Server, ...args: unknown[]) => Server;

/** Runs `work` while a `listen` without a port, a host or a path means "any free port of 127.0.0.1". */
export async function withLoopbackListeners<T>(work: () => Promise<T>): Promise<T> {
  const prototype = Server.prototype as unknown as { listen: Listen };
  const original = prototype.listen;
  prototype.listen = function listen(this: Server, ...args: unknown[]): Server {
    const [first] = args;
    const isHostless = first === undefined || typeof first === 'function';
    return isHostless ? original.call(this, 0, '127.0.0.1', ...args) : original.apply(this, args);
  };
  try {
    return await work();
  } finally {
    prototype.listen = original;
  }
}
