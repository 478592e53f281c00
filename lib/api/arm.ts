// The ARM envelope: resource ids, api-version, long-running operations, lists.
import { LifeboatError } from '../errors.ts';
import { percentOf } from '../jobs/job.ts';
import type { JobRecord } from '../jobs/job.ts';
import type { ApiContext, ApiResponse } from './http.ts';
import { findQuery } from './query.ts';
import { decodeSegment } from './router.ts';

export interface VaultName {
  subscription: string;
  resourceGroup: string;
  vault: string;
}

const provider = 'Microsoft.RecoveryServices/vaults';
/** What official clients send; also taken when a caller sends none. */
const defaultApiVersion = '2023-06-01';
const oldestApiVersion = '2016-08-10';

export const vaultPath = ({ subscription, resourceGroup, vault }: VaultName): string =>
  `/subscriptions/${subscription}/resourceGroups/${resourceGroup}/providers/${provider}/${vault}`;

/** Throws an Error when the text is no id of a vault. */
export function parseVaultId(id: string): VaultName {
  const match =
    /^\/subscriptions\/([^/]+)\/resourceGroups\/([^/]+)\/providers\/Microsoft\.RecoveryServices\/vaults\/([^/]+)$/i.exec(
      id,
    );
  if (!match) throw new Error(`"${id}" is no id of a Recovery Services vault.`);
  const [, subscription = '', resourceGroup = '', vault = ''] = match;
  return { subscription, resourceGroup, vault };
}

/** Names and kinds of a resource below the vault, outermost first: `['replicationFabrics', 'site1', …]`. */
export function resourceId(vault: VaultName, ...segments: readonly string[]): string {
  return [vaultPath(vault), ...segments.map(encodeURIComponent)].join('/');
}

/** `{id, name, type, properties}` of a resource below the vault. */
export function resource(vault: VaultName, segments: readonly string[], properties: object) {
  const kinds = segments.filter((_, index) => index % 2 === 0);
  return {
    id: resourceId(vault, ...segments),
    name: segments.at(-1) ?? '',
    type: [provider, ...kinds].join('/'),
    properties,
  };
}

/** The name after `kind` in an ARM id, without regard to case; a bare name is taken as the name itself. */
export function nameInId(id: string, kind: string): string {
  const segments = id.split('/').filter((segment) => segment !== '');
  if (segments.length === 1) return decodeSegment(segments[0] ?? '');
  const index = segments.findIndex((segment) => segment.toLowerCase() === kind.toLowerCase());
  const name = index < 0 ? undefined : segments[index + 1];
  if (name === undefined)
    throw new LifeboatError('InvalidRequest', `"${id.slice(0, 200)}" is no id of ${kind}.`, { target: kind });
  return decodeSegment(name);
}

/** Returns the id if it is one of a resource of this type, `provider/type`; throws `InvalidRequest` that names the field otherwise. */
export function requireArmId(id: string, type: string, target: string): string {
  const [, provider, kind] =
    /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/([^/]+)\/([^/]+)\/[^/]+$/i.exec(id) ?? [];
  if (provider !== undefined && `${provider}/${kind ?? ''}`.toLowerCase() === type.toLowerCase()) return id;
  const message = `"${id.slice(0, 200)}" is no id of ${type} (/subscriptions/…/resourceGroups/…/providers/${type}/…).`;
  throw new LifeboatError('InvalidRequest', message, { target });
}

/** The api-version to echo. Throws `InvalidRequest` for one that is no date or older than the oldest known. */
export function requireApiVersion(query: URLSearchParams): string {
  const version = findQuery(query, 'api-version') ?? defaultApiVersion;
  if (!/^\d{4}-\d{2}-\d{2}(-preview)?$/.test(version) || version < oldestApiVersion) {
    const message = `api-version "${version.slice(0, 40)}" is not supported; use ${oldestApiVersion} or later.`;
    throw new LifeboatError('InvalidRequest', message, { target: 'api-version' });
  }
  return version;
}

/** One page with everything. */
export const list = (value: readonly unknown[]): ApiResponse => ({
  status: 200,
  body: { value, nextLink: null },
});

/** Seconds until asking again makes sense: clients poll twice at once, and most operations are done by then. */
export function pollSeconds(job: Pick<JobRecord, 'createdAt'>, now: Date): number {
  const ageSeconds = (now.getTime() - Date.parse(job.createdAt)) / 1000;
  if (ageSeconds < 15) return 1;
  if (ageSeconds < 60) return 2;
  return ageSeconds < 600 ? 5 : 15;
}

/** 202: where to poll the operation, and where its result will be. */
export function accepted(
  { settings, replication }: ApiContext,
  { job, resource: path, apiVersion }: { job: JobRecord; resource: string; apiVersion: string },
): ApiResponse {
  const query = `?api-version=${apiVersion}`;
  const vault = vaultPath(settings.vault);
  return {
    status: 202,
    headers: {
      'azure-asyncoperation': `${settings.publicUrl}${vault}/replicationOperationStatus/${job.id}${query}`,
      location: `${settings.publicUrl}${path}/operationresults/${job.id}${query}`,
      'retry-after': String(pollSeconds(job, replication.clock.now())),
      'x-ms-request-id': `${vault}/replicationJobs/${job.id}`,
    },
  };
}

/** Body of an operation's status; always with a `status` that clients know. */
export function operationStatus(job: JobRecord, now: Date): ApiResponse {
  const error = job.errors[0];
  const isRunning = job.operation === 'InProgress';
  return {
    status: 200,
    headers: isRunning ? { 'retry-after': String(pollSeconds(job, now)) } : {},
    body: {
      id: null,
      name: job.id,
      status: job.operation,
      startTime: job.startTime ?? job.createdAt,
      endTime: isRunning ? null : (job.endTime ?? null),
      percentComplete: isRunning ? percentOf(job) : null,
      properties: null,
      error:
        job.operation === 'Failed' && error
          ? {
              code: error.code,
              message: `${job.errors.map(({ message }) => message).join(' ')} (job ${job.id})`,
              details: null,
            }
          : null,
    },
  };
}
