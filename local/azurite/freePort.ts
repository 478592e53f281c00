// Picks ports for services that must keep theirs over restarts, so that connection strings people copied stay valid.
import { createServer } from 'node:net';

/** `preferred` when it is free, else a free one chosen by the system. */
export async function findPort(preferred: number | undefined): Promise<number> {
  if (preferred !== undefined) {
    const port = await tryPort(preferred);
    if (port !== undefined) return port;
  }
  const port = await tryPort(0);
  if (port === undefined) throw new Error('No free port is left on 127.0.0.1.');
  return port;
}

async function tryPort(port: number): Promise<number | undefined> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : undefined;
      server.close(() => resolve(bound));
    });
  });
}
