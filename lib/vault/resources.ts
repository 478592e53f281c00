// What an administrator configures: sites (fabrics) with their container, replication policies, and which policy a
// container uses. Rows in the table `vault`, a partition per kind; names are compared without regard to case, as ARM does.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import type { TablePort } from '../storage/ports.ts';
import { policyRecord } from './policies.ts';
import type { PolicyRecord } from './policies.ts';

const fabricRecord = z.object({
  name: z.string(),
  /** GUID that the site's container is named after. */
  internalId: z.string(),
  createdAt: z.iso.datetime(),
  /** A site of Hyper-V hosts has one container; a VMM server has one for each of its clouds. */
  kind: z.enum(['HyperVSite', 'VMM']).default('HyperVSite'),
  /** Clouds that the source hosts of a VMM server reported. */
  clouds: z.array(z.object({ id: z.string(), name: z.string() })).default([]),
});
export type FabricRecord = z.infer<typeof fabricRecord>;

const mappingRecord = z.object({
  name: z.string(),
  fabric: z.string(),
  container: z.string(),
  policy: z.string(),
});
export type MappingRecord = z.infer<typeof mappingRecord>;

export interface Kind<T> {
  partition: string;
  what: string;
  schema: z.ZodType<T>;
  keyOf: (record: T) => string;
}

export const mappingKey = (fabric: string, container: string, name: string): string =>
  [fabric, container, name].join('|').toLowerCase();

export const fabrics: Kind<FabricRecord> = {
  partition: 'fabrics',
  what: 'Fabric',
  schema: fabricRecord,
  keyOf: ({ name }) => name.toLowerCase(),
};
export const policies: Kind<PolicyRecord> = {
  partition: 'policies',
  what: 'Policy',
  schema: policyRecord,
  keyOf: ({ name }) => name.toLowerCase(),
};
export const mappings: Kind<MappingRecord> = {
  partition: 'mappings',
  what: 'Container mapping',
  schema: mappingRecord,
  keyOf: ({ fabric, container, name }) => mappingKey(fabric, container, name),
};

/** The one container that a Hyper-V site has. */
export const containerOf = ({ internalId }: FabricRecord): string => `cloud_${internalId}`;

async function findResource<T>(vault: TablePort, kind: Kind<T>, key: string): Promise<T | undefined> {
  const row = await vault.find(kind.partition, key.toLowerCase());
  return row && kind.schema.parse(row.value);
}

export async function getResource<T>(vault: TablePort, kind: Kind<T>, key: string): Promise<T> {
  const found = await findResource(vault, kind, key);
  if (found === undefined)
    throw new LifeboatError('ResourceNotFound', `${kind.what} "${key}" does not exist.`, { target: key });
  return found;
}

/** Creates or replaces. */
export async function putResource<T>(vault: TablePort, kind: Kind<T>, record: T): Promise<void> {
  await vault.transact(kind.partition, [{ kind: 'put', key: kind.keyOf(record), value: record }]);
}

export async function listResources<T>(vault: TablePort, kind: Kind<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const row of vault.list(kind.partition)) all.push(kind.schema.parse(row.value));
  return all;
}
