// Which policies a container uses.
import type { TablePort } from '../storage/ports.ts';
import { findPolicy } from './policies.ts';
import { listResources, mappings } from './resources.ts';

/** True when a mapping of the container names the policy. */
export async function isPolicyMapped(vault: TablePort, container: string, policy: string): Promise<boolean> {
  const record = await findPolicy(vault, policy);
  if (!record) return false;
  const all = await listResources(vault, mappings);
  return all.some((mapping) => mapping.container === container && mapping.policy === record.name);
}
