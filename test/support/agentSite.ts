// The service of agents in tests: the built app in the local host, which fails over to plain disks, with the site of their machines.
import { join } from 'node:path';
import { SourceHost, type Service } from '../e2e/client.ts';
import { startHost, type ReadyHost } from '../host/startHost.ts';

const root = join(import.meta.dirname, '..', '..');

/** The site is called site1. The caller stops the host. */
export async function startAgentSite(
  dataDirectory: string,
): Promise<{ host: ReadyHost; source: SourceHost }> {
  const env = { LIFEBOAT_COMPUTE: 'vhd', LIFEBOAT_RECONCILE_SCHEDULE: '*/2 * * * * *' };
  const host = await startHost({ app: root, dataDirectory, args: ['--strict'], env });
  const source = new SourceHost(host.local as unknown as Service);
  await source.call('PUT', `${source.service.vaultPath}/replicationFabrics/site1`, {});
  return { host, source };
}
