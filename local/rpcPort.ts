// Under TLS the app's own Durable clients get a plain port of 127.0.0.1 for themselves, as in the real host: Node reads
// the authorities it trusts when it starts, so a client in this process cannot trust the one in the data directory.
import type { HttpExtension } from './http/httpFrontDoor.ts';
import { HttpPort } from './http/httpPort.ts';
import { reasonOf } from './process/startError.ts';
import type { HostLog } from './worker/types.ts';

export interface RpcPort {
  /** Without a slash at the end. */
  origin: string;
  close: () => void;
}

/** Serves `path` and nothing else on a free port. */
export async function openRpcPort(path: HttpExtension, log: HostLog): Promise<RpcPort> {
  const port = new HttpPort({
    log,
    handle: (request, response) => {
      const pathname = (request.url ?? '/').split('?', 1)[0] ?? '/';
      const isServed = pathname.toLowerCase().startsWith(`${path.basePath}/`);
      const served = isServed ? path.handle(request, response, pathname) : Promise.resolve(false);
      served
        .then((isAnswered) => isAnswered || response.writeHead(404, { 'content-length': 0 }).end())
        .catch((error: unknown) => {
          log('error', 'Host.Http', `${request.method ?? ''} ${path.basePath}: ${reasonOf(error)}`);
          response.destroy();
        });
    },
  });
  return { origin: `http://127.0.0.1:${await port.listen(0)}`, close: () => port.close() };
}
