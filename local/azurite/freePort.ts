// Ports of services that keep theirs over restarts, so that connection strings people copied stay valid.
import { createServer } from 'node:net';

/** The port to ask for: `preferred` while it is free, else 0, for which the system gives a free one. Ask for it at once. */
export async function portToAskFor(preferred: number | undefined): Promise<number> {
  if (preferred === undefined) return 0;
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(0));
    server.listen({ port: preferred, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => resolve(preferred));
    });
  });
}
