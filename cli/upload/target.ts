// Which service an upload goes to. First that is given wins: --service and --key, --local, LIFEBOAT_URL and
// LIFEBOAT_KEY, ./.lifeboat.
import { readLocalService } from '../../agent/localService.ts';
import { serviceClient, type ServiceClient } from '../../agent/serviceClient.ts';
import { UsageError } from '../failure.ts';
import { pathOf, type Io } from '../io.ts';

export interface TargetOptions {
  item: string;
  disk: string;
  service?: string;
  key?: string;
  local?: string;
  json?: boolean;
}

async function findAddress(io: Io, options: TargetOptions): Promise<{ url: string; key: string }> {
  const { service, local } = options;
  const url = service ?? (local === undefined ? io.env['LIFEBOAT_URL'] : undefined);
  if (service !== undefined && local !== undefined) throw new UsageError('Give either --service or --local.');
  if (url === undefined || url === '') {
    const found = await readLocalService(pathOf(io, local ?? '.lifeboat'));
    return { url: found.url, key: options.key ?? found.adminKey };
  }
  const key = options.key ?? io.env['LIFEBOAT_KEY'] ?? '';
  if (key === '') throw new UsageError(`No key for the service ${url}: give --key or LIFEBOAT_KEY.`);
  return { url, key };
}

/** A client of the service that the options name. Sends nothing yet. */
export async function connectService(io: Io, options: TargetOptions): Promise<ServiceClient> {
  const address = await findAddress(io, options);
  // Somebody waits at a terminal: give up after two seconds.
  return serviceClient({ ...address, signal: io.signal, maxTries: 4, retryDelayMs: 250 });
}
