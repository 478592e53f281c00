// The unmodified official client of Site Recovery against the built app in the local host, over HTTPS with the certificate that the
// host made for its data directory. What goes over the wire is recorded, and single answers can be lost on their way.
import { SiteRecoveryManagementClient } from '@azure/arm-recoveryservices-siterecovery';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startHost, temporaryFolder } from '../host/startHost.ts';
import type { ReadyHost } from '../host/startHost.ts';

type PipelinePolicy = Parameters<SiteRecoveryManagementClient['pipeline']['addPolicy']>[0];

export const resourceGroup = 'lifeboat';
export const vaultName = 'lifeboat';
const subscription = '00000000-0000-0000-0000-000000000000';

export interface Exchange {
  method: string;
  url: URL;
  status: number;
  clientRequestId: string | undefined;
  retryAfter: string | undefined;
}

export interface SdkService {
  host: ReadyHost;
  ca: string;
  client: SiteRecoveryManagementClient;
  /** Everything that was sent, in order. */
  exchanges: Exchange[];
  /** The next answer to a request that fits is thrown away after the service has done the work. */
  loseNext: (fits: (request: { method: string; url: string }) => boolean) => void;
}

/** The service's key as a credential: every token is that key. */
const credential = (key: string) => ({
  getToken: async () => ({ token: key, expiresOnTimestamp: Date.now() + 3_600_000 }),
});

export interface ClientOptions {
  key: string;
  exchanges?: Exchange[];
  losing?: { fits?: ((request: { method: string; url: string }) => boolean) | undefined };
}

/** A client of its own: another process of the same administrator, or another caller. */
export function newClient(url: string, ca: string, options: ClientOptions): SiteRecoveryManagementClient {
  const { exchanges = [], losing = {} } = options;
  const recorder: PipelinePolicy = {
    name: 'recorder',
    sendRequest: async (request, next) => {
      const response = await next(request);
      exchanges.push({
        method: request.method,
        url: new URL(request.url),
        status: response.status,
        clientRequestId: request.headers.get('x-ms-client-request-id'),
        retryAfter: response.headers.get('retry-after'),
      });
      if (losing.fits?.(request) === true) {
        losing.fits = undefined;
        throw Object.assign(new Error('the connection broke'), { name: 'RestError', code: 'ECONNRESET' });
      }
      return response;
    },
  };
  const client = new SiteRecoveryManagementClient(credential(options.key), subscription, {
    endpoint: url,
    credentialScopes: ['lifeboat/.default'],
    tlsOptions: { ca },
    retryOptions: { retryDelayInMs: 20, maxRetryDelayInMs: 100 },
  });
  // After the retries, so that every attempt is seen and can be lost.
  client.pipeline.addPolicy(recorder, { afterPhase: 'Retry' });
  return client;
}

/** The app, ready for the client. */
export async function startSdkService(
  dataDirectory = join(temporaryFolder(), 'data'),
  port = 0,
): Promise<SdkService> {
  const app = join(import.meta.dirname, '..', '..');
  const host = await startHost({ app, dataDirectory, port, args: ['--https', '--strict'] });
  const ca = readFileSync(String(host.local['caCertificate']), 'utf8');
  const exchanges: Exchange[] = [];
  const losing: ClientOptions['losing'] & object = {};
  const client = newClient(host.url, ca, { key: String(host.local['adminKey']), exchanges, losing });
  return { host, ca, client, exchanges, loseNext: (fits) => (losing.fits = fits) };
}
