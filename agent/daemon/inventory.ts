// The inventory of this host, from agent.yaml and the disks themselves; sending it is the heartbeat.
import { hostname } from 'node:os';
import { openDisk } from '../disk/openDisk.ts';
import type { InventoryReport } from '../serviceClient.ts';
import type { AgentConfig, MachineConfig } from './config.ts';

export const hostNameOf = ({ host }: Pick<AgentConfig, 'host'>): string => host ?? hostname();

type ReportedMachine = InventoryReport['machines'][number];

async function diskOf({ id, path, format, type, sizeBytes }: MachineConfig['disks'][number]) {
  const about = {
    id,
    ...(type === undefined ? {} : { type }),
    ...(path === undefined ? {} : { name: path.slice(-256) }),
  };
  // A size that is stated is believed: an image may be out of reach while its machine runs. The copy checks it.
  if (path === undefined || sizeBytes !== undefined) return { ...about, sizeBytes: sizeBytes ?? 0 };
  await using reader = await openDisk(path, { format });
  const { logicalSectorSizeBytes: logicalSectorBytes } = reader;
  return {
    ...about,
    sizeBytes: reader.sizeBytes,
    ...(logicalSectorBytes === 512 ? {} : { logicalSectorBytes }),
  };
}

/** The machine as it is reported. Throws errors of its disks. */
export async function reportedMachine(machine: MachineConfig): Promise<ReportedMachine> {
  const { id, name = id, generation, osType, cpuCount, memoryMb } = machine;
  return {
    ...{ id, name, generation, osType },
    ...(cpuCount === undefined ? {} : { cpuCount }),
    ...(memoryMb === undefined ? {} : { memoryMb }),
    disks: await Promise.all(machine.disks.map(diskOf)),
  };
}

/**
 * The report of all machines. A machine whose disks cannot be opened now is reported as it was last time, so that one broken
 * disk does not take it out of the inventory; `problems` says which.
 */
export async function takeInventory(
  config: AgentConfig,
  known: Map<string, ReportedMachine>,
): Promise<{ report: InventoryReport; problems: { machine: string; error: unknown }[] }> {
  const problems: { machine: string; error: unknown }[] = [];
  for (const machine of config.machines) {
    try {
      known.set(machine.id, await reportedMachine(machine));
    } catch (error) {
      problems.push({ machine: machine.id, error });
    }
  }
  return { report: { host: { name: hostNameOf(config) }, machines: [...known.values()] }, problems };
}
