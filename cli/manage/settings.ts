// `lifeboat policy …`, `site …`, `login` and `logout`.
import * as z from 'zod';
import { UsageError } from '../failure.ts';
import { print, readStdin, type Io } from '../io.ts';
import {
  connectionTo,
  loginPath,
  readLogin,
  removeLogin,
  requireVaultPath,
  writeLogin,
  type ServiceOptions,
} from './login.ts';
import { Management } from './management.ts';
import { cell, facts, finishJob, moment, show, tableOr, type JobOptions, type ShowOptions } from './show.ts';

const record = z.record(z.string(), z.unknown()).catch({});

export async function listPolicies(io: Io, options: ShowOptions): Promise<void> {
  const management = await Management.connect(io, options);
  await show(io, options, {
    load: () => management.listResources(management.path('replicationPolicies')),
    text: (policies) =>
      tableOr(
        'There is no policy. Make one with: lifeboat policy set <name>',
        ['POLICY', 'INTERVAL', 'KEEP ALL', 'APP-CONSISTENT'],
        policies.map(({ name, properties }) => {
          const of = record.parse(properties['providerSpecificDetails']);
          return [
            name,
            `${cell(of['replicationInterval'])} s`,
            `${cell(of['recoveryPointHistoryDurationInHours'])} h`,
            `${cell(of['applicationConsistentSnapshotFrequencyInHours'])} h`,
          ];
        }),
      ),
  });
}

export async function showPolicy(io: Io, name: string, options: ShowOptions): Promise<void> {
  const management = await Management.connect(io, options);
  await show(io, options, {
    load: async () => {
      const { properties } = await management.getResource(management.path('replicationPolicies', name));
      const extras = await management.get(`/lifeboat/v1/policies/${encodeURIComponent(name)}`);
      return { ...record.parse(properties['providerSpecificDetails']), ...extras };
    },
    text: (policy) => facts(Object.entries(policy)),
  });
}

export interface PolicySetOptions extends JobOptions {
  interval?: string;
  keepHours?: string;
  appConsistentHours?: string;
  hourlyHours?: string;
  dailyDays?: string;
  parallelDisks?: string;
  scrubEveryDays?: string;
  verify?: string;
}

function numbers(given: Readonly<Record<string, string | undefined>>): Record<string, number> {
  const found = Object.entries(given).flatMap(([field, text]) => {
    if (text === undefined) return [];
    if (!/^\d{1,9}$/.test(text))
      throw new UsageError(`${field} must be a whole number, not "${text.slice(0, 40)}".`);
    return [[field, Number(text)] as const];
  });
  return Object.fromEntries(found);
}

/** Makes the policy, or changes what is given of one that is there. */
export async function setPolicy(io: Io, name: string, options: PolicySetOptions): Promise<void> {
  const management = await Management.connect(io, options);
  const path = management.path('replicationPolicies', name);
  const settings = {
    instanceType: 'HyperVReplicaAzure',
    ...numbers({
      replicationInterval: options.interval,
      recoveryPointHistoryDuration: options.keepHours,
      applicationConsistentSnapshotFrequencyInHours: options.appConsistentHours,
    }),
  };
  const known = await management.listResources(management.path('replicationPolicies'));
  const exists = known.some((policy) => policy.name.toLowerCase() === name.toLowerCase());
  const begun = exists
    ? await management.send('PATCH', path, { properties: { replicationProviderSettings: settings } })
    : await management.send('PUT', path, { properties: { providerSpecificInput: settings } });
  if (begun.jobId !== undefined) await management.waitForJob(begun.jobId);
  const extras = {
    ...numbers({
      hourlyHours: options.hourlyHours,
      dailyDays: options.dailyDays,
      parallelDisks: options.parallelDisks,
      scrubEveryDays: options.scrubEveryDays,
    }),
    ...(options.verify === undefined ? {} : { verify: options.verify }),
  };
  if (Object.keys(extras).length > 0)
    await management.send('PATCH', `/lifeboat/v1/policies/${encodeURIComponent(name)}`, extras);
  await showPolicy(io, name, options);
}

export async function removeResource(io: Io, kind: string, name: string, options: JobOptions): Promise<void> {
  const management = await Management.connect(io, options);
  await finishJob(
    io,
    { ...options, wait: true },
    management,
    await management.send('DELETE', management.path(kind, name)),
  );
}

export async function listSites(io: Io, options: ShowOptions): Promise<void> {
  const management = await Management.connect(io, options);
  await show(io, options, {
    load: async () => {
      const sites = await management.listResources(management.path('replicationFabrics'));
      const hosts = await management.list('/lifeboat/v1/hosts').catch(() => []);
      return { sites, hosts };
    },
    text: ({ sites, hosts }) => {
      const siteTable = tableOr(
        'There is no site. Make one with: lifeboat site create <name>',
        ['SITE', 'HEALTH', 'HOSTS'],
        sites.map(({ name, properties }) => [
          name,
          cell(properties['health']),
          String(hosts.filter(({ site, revokedAt }) => site === name && revokedAt === null).length),
        ]),
      );
      if (hosts.length === 0) return siteTable;
      const hostTable = tableOr(
        '',
        ['HOST', 'SITE', 'LAST SEEN', 'ID'],
        hosts.map((host) => [
          cell(host['name']),
          cell(host['site']),
          host['revokedAt'] === null ? moment(host['lastSeenAt']) : 'revoked',
          cell(host['id']),
        ]),
      );
      return `${siteTable}\n${hostTable}`;
    },
  });
}

export async function createSite(io: Io, name: string, options: JobOptions): Promise<void> {
  const management = await Management.connect(io, options);
  const body = { properties: { customDetails: { instanceType: 'HyperVSite' } } };
  await finishJob(
    io,
    { ...options, wait: true },
    management,
    await management.send('PUT', management.path('replicationFabrics', name), body),
  );
}

/** Prints the key alone, so that it can be piped into `lifeboat agent register`. */
export async function createKey(
  io: Io,
  site: string,
  options: ServiceOptions & { host?: string },
): Promise<void> {
  const management = await Management.connect(io, options);
  const path = `/lifeboat/v1/sites/${encodeURIComponent(site)}/registrationKeys`;
  const { body } = await management.send(
    'POST',
    path,
    options.host === undefined ? {} : { hostName: options.host },
  );
  const key = record.parse(body);
  await print(io, options.json === true ? `${JSON.stringify(key)}\n` : `${cell(key['registrationKey'])}\n`);
  if (options.json !== true) io.stderr.write(`Good for one host, until ${moment(key['expiresAt'])}.\n`);
}

export async function revokeHost(io: Io, host: string, options: ServiceOptions): Promise<void> {
  const management = await Management.connect(io, options);
  const { body } = await management.send('POST', `/lifeboat/v1/hosts/${encodeURIComponent(host)}/revoke`);
  await print(io, options.json === true ? `${JSON.stringify(body)}\n` : 'The host is revoked.\n');
}

export interface LoginOptions extends ServiceOptions {
  keyStdin?: true;
  scope?: string;
}

/** Checks the way in, then remembers it. */
export async function login(io: Io, options: LoginOptions): Promise<void> {
  const { service, vault, scope = null } = options;
  if (service === undefined || vault === undefined) throw new UsageError('Give --service and --vault.');
  const given = options.key ?? io.env['LIFEBOAT_KEY'];
  const key = options.keyStdin === true ? (await readStdin(io)).trim() : (given ?? null);
  if ((key === null) === (scope === null))
    throw new UsageError(
      'Give a key (--key-stdin, --key, LIFEBOAT_KEY), or --scope to use your sign-in to Azure.',
    );
  const vaultPath = requireVaultPath(vault);
  await writeLogin(io, { version: 1, url: service, vaultPath, key, scope });
  try {
    const management = await Management.connect(
      { ...io, env: { ...io.env, LIFEBOAT_URL: undefined }, cwd: '/' },
      {},
    );
    await management.listResources(management.path('replicationFabrics'));
  } catch (error) {
    await removeLogin(io);
    throw error;
  }
  const document = { service, vaultPath, kind: key === null ? 'entra' : 'key', path: loginPath(io) };
  await print(
    io,
    options.json === true
      ? `${JSON.stringify(document)}\n`
      : `Signed in to ${service}; remembered in ${loginPath(io)}.\n`,
  );
}

export async function logout(io: Io, options: ServiceOptions): Promise<void> {
  const known = await readLogin(io);
  await removeLogin(io);
  const text = known ? `Signed out of ${known.url}.\n` : 'You are not signed in.\n';
  await print(io, options.json === true ? `${JSON.stringify({ service: known?.url ?? null })}\n` : text);
}

/** For `doctor`: whether the service answers without a key. */
export async function isHealthy(url: string, signal: AbortSignal): Promise<void> {
  await connectionTo({ url, key: '' }, signal).request(
    'GET',
    '/health',
    z.looseObject({ status: z.literal('Healthy') }),
  );
}
