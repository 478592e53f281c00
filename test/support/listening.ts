// Servers that tests start as processes of their own: a port for them, and when they take connections. The file of a Unix socket is
// there from bind() on, connections are taken from listen() on, and on a busy machine there is time between the two.
import type { ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Ports that are asked for by number; below those that systems give to programs which ask for any. */
const [firstPort, portsEnd] = [10_000, 32_000];

/** Of a Unix socket, or a port of 127.0.0.1. */
export type Address = { path: string } | { port: number };

/** A port of 127.0.0.1 that nobody listens on, and that nobody is given who asks for any. */
export async function reservedPort(): Promise<number> {
  for (;;) {
    const server = net.createServer();
    const port = randomInt(firstPort, portsEnd);
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/**
 * Waits until the process takes connections, by connecting and hanging up. Throws when it ends instead, with what it said on standard
 * error. Call it right after spawn().
 */
export async function untilListening(child: ChildProcess, address: Address): Promise<void> {
  let said = '';
  child.stderr?.on('data', (bytes: Buffer) => (said += bytes.toString()));
  let ending: string | undefined;
  child.once('error', (error) => (ending = error.message));
  child.once('close', (code, signal) => (ending ??= signal ?? `exit code ${code}`));
  while (!(await takesConnections(address))) {
    if (ending !== undefined) throw new Error(`${child.spawnfile} ended (${ending}): ${said}`);
    await sleep(10);
  }
}

/** Whether one is taken; it is closed again: a monitor of QEMU has one client at a time. */
function takesConnections(address: Address): Promise<boolean> {
  return new Promise((resolve) => {
    let isTaken = false;
    const socket = net.connect({ host: '127.0.0.1', ...address });
    socket.once('connect', () => {
      isTaken = true;
      socket.destroy();
    });
    socket.once('error', () => undefined).once('close', () => resolve(isTaken));
  });
}
