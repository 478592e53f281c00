// The machine that a failover will make: its name, size, group and network, as the request and later updates gave them.
// Checked when protection begins, when it is finalized and at every update, against Azure's rules: an hour of need is too
// late to learn that a name is refused.
import * as z from 'zod';
import type { ErrorRecord } from '../errors.ts';
import { azureNameFrom, azureNameProblem } from '../recovery/azureNames.ts';
import type { TablePort } from '../storage/ports.ts';
import type { ItemRecord } from './item.ts';

const text = z.string().min(1).nullish();

/** The fields of `providerSpecificDetails` that we read; the others are kept and echoed. */
const targetInput = z.looseObject({
  targetAzureVmName: text,
  targetVmSize: text,
  targetAzureV2ResourceGroupId: text,
  targetAzureNetworkId: text,
  targetAzureSubnetId: text,
  targetStorageAccountId: text,
});

const idPatterns = {
  targetAzureV2ResourceGroupId: {
    pattern: /^\/subscriptions\/[^/]+\/resourceGroups\/([^/]+)$/i,
    kind: 'resourceGroup',
    shape: '/subscriptions/<id>/resourceGroups/<name>',
  },
  targetAzureNetworkId: {
    pattern:
      /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.Network\/virtualNetworks\/([^/]+)$/i,
    kind: 'virtualNetwork',
    shape: '/subscriptions/<id>/resourceGroups/<name>/providers/Microsoft.Network/virtualNetworks/<name>',
  },
} as const;

/** Name of the machine that a failover makes: what the user asked for, else made from the source's name. */
export function targetNameOf(record: Pick<ItemRecord, 'providerInput' | 'machineName'>): string {
  const parsed = targetInput.safeParse(record.providerInput);
  const asked = parsed.success ? parsed.data.targetAzureVmName : undefined;
  return asked ?? azureNameFrom('virtualMachine', record.machineName);
}

const targetPartition = 'targetNames';

/** Which item uses a target name. Written with the item, so that no two items get the same machine. */
export async function reserveTargetName(
  vault: TablePort,
  record: Pick<ItemRecord, 'item' | 'providerInput' | 'machineName'>,
): Promise<void> {
  const key = targetNameOf(record).toLowerCase();
  const existing = await vault.find(targetPartition, key);
  if (existing) return;
  await vault.transact(targetPartition, [{ kind: 'insert', key, value: { item: record.item } }]);
}

/** Frees the name. May be repeated. */
export async function releaseTargetName(
  vault: TablePort,
  record: Pick<ItemRecord, 'item' | 'providerInput' | 'machineName'>,
): Promise<void> {
  const key = targetNameOf(record).toLowerCase();
  const row = await vault.find(targetPartition, key);
  if ((row?.value as { item?: string } | undefined)?.item !== record.item || !row) return;
  await vault.transact(targetPartition, [{ kind: 'delete', key, etag: row.etag }]);
}

/** Every reason why the target cannot be made; empty when it can, as far as can be told from here. */
export async function checkTarget(vault: TablePort, record: ItemRecord): Promise<ErrorRecord[]> {
  const errors: ErrorRecord[] = [];
  const refuse = (message: string) => errors.push({ code: 'TargetInvalid', message });
  const parsed = targetInput.safeParse(record.providerInput);
  if (!parsed.success) {
    for (const { path, message } of parsed.error.issues) refuse(`${path.join('.')}: ${message}.`);
    return errors;
  }
  const name = targetNameOf(record);
  const problem = azureNameProblem('virtualMachine', name);
  if (problem !== undefined) refuse(problem);
  const holder = (await vault.find(targetPartition, name.toLowerCase()))?.value as
    { item: string } | undefined;
  if (holder && holder.item !== record.item)
    refuse(
      `The target name "${name}" is taken by protected item "${holder.item}"; choose another targetAzureVmName.`,
    );
  for (const [field, { pattern, kind, shape }] of Object.entries(idPatterns)) {
    const id = parsed.data[field];
    if (typeof id !== 'string') continue;
    const part = pattern.exec(id)?.[1];
    const namePart =
      part === undefined ? `must look like ${shape}` : azureNameProblem(kind, decodeURIComponent(part));
    if (namePart !== undefined) refuse(`${field} "${id.slice(0, 200)}": ${namePart}`);
  }
  if (parsed.data.targetAzureSubnetId && !parsed.data.targetAzureNetworkId)
    refuse('targetAzureSubnetId is given without targetAzureNetworkId.');
  return errors;
}
