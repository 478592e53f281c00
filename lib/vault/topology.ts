// What source hosts report about their surroundings: networks, logical networks, storage classifications, and the clouds of a VMM
// server. A report replaces the earlier one of its site; mappings to Azure are made by administrators and outlive reports.
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import type { TablePort } from '../storage/ports.ts';
import { changeStored } from './collection.ts';
import type { Collection } from './collection.ts';
import { fabrics } from './resources.ts';

/** Ids become parts of ARM ids. */
const id = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'must match ^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$');
const name = z.string().min(1).max(256);

const subnet = z.object({ name, addresses: z.array(z.string().max(64)).max(64).default([]) });
const network = z.object({ id, name, subnets: z.array(subnet).max(64).default([]) });
const logicalNetwork = z.object({
  id,
  name,
  isVirtualized: z.boolean().default(false),
  hasDefinitions: z.boolean().default(true),
});
const storageClassification = z.object({ id, name });

/** Body of PUT /agent/v1/sites/{fabric}/topology. */
export const topologyReport = z
  .object({
    clouds: z
      .array(z.object({ id: z.guid().toLowerCase(), name }))
      .max(100)
      .default([]),
    networks: z.array(network).max(500).default([]),
    logicalNetworks: z.array(logicalNetwork).max(500).default([]),
    storageClassifications: z.array(storageClassification).max(500).default([]),
  })
  .meta({ id: 'TopologyReport' });
export type TopologyReport = z.infer<typeof topologyReport>;

const topologyRecord = topologyReport.extend({
  fabric: z.string(),
  reportedBy: z.string(),
  reportedAt: z.iso.datetime(),
});
export type TopologyRecord = z.infer<typeof topologyRecord>;

export const topologies: Collection<TopologyRecord> = {
  partition: 'topologies',
  what: 'Topology',
  schema: topologyRecord,
  keyOf: ({ fabric }) => fabric.toLowerCase(),
};

const networkMapping = z.object({
  name: z.string(),
  fabric: z.string(),
  network: z.string(),
  recoveryNetworkId: z.string(),
  recoveryFabric: z.string(),
});
export type NetworkMapping = z.infer<typeof networkMapping>;

/** Names of different lengths must not make one key of two, and together they may be longer than a key. */
const joined = (...parts: string[]): string =>
  createHash('sha256')
    .update(JSON.stringify(parts.map((part) => part.toLowerCase())))
    .digest('hex');

export const networkMappingKey = (fabric: string, ofNetwork: string, mapping: string): string =>
  joined(fabric, ofNetwork, mapping);

export const networkMappings: Collection<NetworkMapping> = {
  partition: 'networkMappings',
  what: 'Network mapping',
  schema: networkMapping,
  keyOf: (mapping) => networkMappingKey(mapping.fabric, mapping.network, mapping.name),
};

const storageMapping = z.object({
  name: z.string(),
  fabric: z.string(),
  classification: z.string(),
  target: z.string(),
});
export type StorageMapping = z.infer<typeof storageMapping>;

export const storageMappings: Collection<StorageMapping> = {
  partition: 'storageMappings',
  what: 'Storage classification mapping',
  schema: storageMapping,
  keyOf: (mapping) => joined(mapping.fabric, mapping.classification, mapping.name),
};

function requireDistinct(what: string, ids: readonly string[]): void {
  const seen = new Set<string>();
  for (const each of ids.map((one) => one.toLowerCase())) {
    if (seen.has(each))
      throw new LifeboatError('InvalidRequest', `${what} "${each}" occurs twice in the report.`, {
        target: what,
      });
    seen.add(each);
  }
}

/** Stores what was reported. May be repeated. Throws `InvalidRequest` when an id occurs twice. */
export async function storeTopology(
  vault: TablePort,
  report: TopologyReport,
  about: { fabric: string; reportedBy: string; reportedAt: string },
): Promise<void> {
  for (const part of ['clouds', 'networks', 'logicalNetworks', 'storageClassifications'] as const)
    requireDistinct(
      part,
      report[part].map((each) => each.id),
    );
  await changeStored(vault, topologies, { key: about.fabric }, () => ({ ...report, ...about }));
  await changeStored(
    vault,
    fabrics,
    { key: about.fabric },
    (fabric) => fabric && { ...fabric, clouds: report.clouds },
  );
}
