// The paths of the HTTP port that belong to the host and its extensions, and the key that each one asks for.
import type { DurableHost } from './durable/durableHost.ts';
import type { AdminApi } from './http/adminApi.ts';
import { type HostKeys, isSameSecret } from './http/hostKeys.ts';
import type { HttpExtension } from './http/httpFrontDoor.ts';
import type { BlobListener } from './blob/blobListener.ts';

const rpcBasePath = '/durabletask';

export interface HostPathsOptions {
  admin: AdminApi;
  /** Undefined for an app without Durable Functions. */
  durable: DurableHost | undefined;
  /** Undefined for an app without blob triggers. */
  blobs: BlobListener | undefined;
  /** Undefined when the host asks for no keys. */
  keys: HostKeys | undefined;
}

export function toHostPaths({ admin, durable, blobs, keys }: HostPathsOptions): HttpExtension[] {
  const paths: HttpExtension[] = [
    {
      basePath: '/admin',
      access: 'admin',
      handle: async (request, response, path) => {
        await admin.handle(request, response, path);
        return true;
      },
    },
  ];
  if (durable !== undefined) {
    paths.push(
      {
        basePath: '/runtime/webhooks/durabletask',
        access: { systemKey: 'durabletask_extension' },
        handle: (request, response) => durable.handleHttp(request, response),
      },
      toRpcPath(durable, keys),
    );
  }
  if (blobs !== undefined) {
    paths.push({
      basePath: '/runtime/webhooks/blobs',
      access: { systemKey: 'blobs_extension' },
      handle: (request, response) => blobs.handleHttp(request, response),
    });
  }
  return paths;
}

/** Base URL of the app's own Durable clients; with keys, only they know it. */
export function toRpcBaseUrl(origin: string, keys: HostKeys | undefined): string {
  return keys === undefined ? `${origin}${rpcBasePath}/` : `${origin}${rpcBasePath}/${keys.rpcSegment}/`;
}

/**
 * The SDK's clients send no key here: in Azure this is a port of its own that only the machine reaches. Here it is
 * the shared port (under TLS another one), and the secret is a segment of the path.
 */
export function toRpcPath(durable: DurableHost, keys: HostKeys | undefined): HttpExtension {
  return {
    basePath: rpcBasePath,
    access: 'anonymous',
    handle: async (request, response, path) => {
      if (keys !== undefined) {
        const segment = path.split('/')[2] ?? '';
        if (!isSameSecret(segment, keys.rpcSegment)) {
          response.writeHead(401, { 'content-length': 0 }).end();
          return true;
        }
        request.url = (request.url ?? '').replace(`/${segment}`, '');
      }
      return durable.handleHttp(request, response);
    },
  };
}
