// The target's adapters, network mappings and names as a failover would use them, checked when protection is finalized:
// the machine's adapters are known by then, and an hour of need is too late.
import type { ErrorRecord } from '../errors.ts';
import { findMachine } from '../inventory/inventory.ts';
import { choiceProblems } from '../recovery/readiness.ts';
import { chosenNics, machineOrderOf, siteMappings } from '../recovery/targetSettings.ts';
import type { Storage } from '../storage/ports.ts';
import type { ItemRecord } from './item.ts';

/** Every choice that a failover of all disks would fail with. Empty when all that was chosen can be. Changes nothing. */
export async function checkChoices(
  { storage }: { storage: Pick<Storage, 'vault' | 'inventory'> },
  record: ItemRecord,
): Promise<ErrorRecord[]> {
  const machine = await findMachine(storage.inventory, record.fabric, record.machine);
  const about = {
    ...{ record, machine, jobId: 'check', testNetworkId: null },
    point: { disks: record.disks },
    mappings: await siteMappings(storage.vault, record.fabric),
  };
  const messages = choiceProblems({
    failover: machineOrderOf({ ...about, purpose: 'failover' }),
    test: machineOrderOf({ ...about, purpose: 'test' }),
  }).map(({ message }) => message);
  if (machine) {
    const known = new Set(machine.nics.map(({ id }) => id.toLowerCase()));
    const names = machine.nics.map(({ id }) => id).join(', ') || 'none';
    for (const nic of chosenNics(record))
      if (!known.has(nic))
        messages.push(
          `vmNics names adapter "${nic}", which machine ${machine.name} does not have; it has ${names}.`,
        );
  }
  return [...new Set(messages)].map((message) => ({ code: 'TargetInvalid', message }));
}
