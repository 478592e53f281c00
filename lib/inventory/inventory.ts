// What source hosts report about their machines: the protectable items of a site. A report replaces the host's earlier one.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import type { RowWrite, TablePort } from '../storage/ports.ts';

/** Ids become parts of blob names; GUIDs in upper case are taken as well. */
const id = z
  .string()
  .toLowerCase()
  .regex(/^[a-z0-9-]{1,64}$/, 'must match ^[a-z0-9-]{1,64}$');

const reportedDisk = z.object({
  id,
  name: z.string().min(1).max(256).optional(),
  sizeBytes: z.number().int().positive(),
  type: z.enum(['OperatingSystem', 'DataDisk']).optional(),
  /** 4096 = a 4K-native disk, which a VHD cannot carry. */
  logicalSectorBytes: z.number().int().positive().default(512),
  /** Shared with another machine, or passed through to hardware: cannot be frozen with the machine. */
  isShared: z.boolean().default(false),
});

const reportedNic = z.object({
  id,
  network: z.string().max(256).optional(),
  macAddress: z.string().max(32).optional(),
  ipAddresses: z.array(z.string().max(64)).max(32).default([]),
});

const reportedMachine = z.object({
  id,
  name: z.string().min(1).max(256),
  /** Name of the VMM cloud that the machine is in; hosts without VMM leave it out. */
  cloud: z.string().min(1).max(256).optional(),
  generation: z.enum(['1', '2']).default('2'),
  osType: z.enum(['Windows', 'Linux', 'Other']).default('Other'),
  cpuCount: z.number().int().min(1).max(4096).optional(),
  memoryMb: z.number().int().min(1).max(67_108_864).optional(),
  nics: z.array(reportedNic).max(64).default([]),
  disks: z.array(reportedDisk).min(1).max(64),
});

/** Body of PUT /agent/v1/sites/{fabric}/inventory. */
export const inventoryReport = z.object({
  host: z.object({ name: z.string().min(1).max(256) }),
  machines: z.array(reportedMachine).max(1000),
});
export type InventoryReport = z.infer<typeof inventoryReport>;

export const machineRecord = reportedMachine.extend({
  disks: z.array(reportedDisk.extend({ name: z.string(), type: z.enum(['OperatingSystem', 'DataDisk']) })),
  host: z.string(),
  reportedAt: z.iso.datetime(),
});
export type MachineRecord = z.infer<typeof machineRecord>;

/** Rows of one transaction, below the service's limit of 100. */
const batchSize = 90;

export async function listMachines(inventory: TablePort, fabric: string): Promise<MachineRecord[]> {
  const machines: MachineRecord[] = [];
  for await (const row of inventory.list(fabric.toLowerCase())) machines.push(machineRecord.parse(row.value));
  return machines;
}

/** Machines whose id lies between the two, both included: at most `limit`, in one request. */
export async function listMachinesBetween(
  inventory: TablePort,
  fabric: string,
  { first, last, limit }: { first: string; last: string; limit: number },
): Promise<MachineRecord[]> {
  const machines: MachineRecord[] = [];
  // The first key behind `last`; no id has an exclamation mark.
  for await (const row of inventory.list(fabric.toLowerCase(), { from: first, to: `${last}!`, limit }))
    machines.push(machineRecord.parse(row.value));
  return machines;
}

export async function findMachine(
  inventory: TablePort,
  fabric: string,
  machine: string,
): Promise<MachineRecord | undefined> {
  const row = await inventory.find(fabric.toLowerCase(), machine.toLowerCase());
  return row && machineRecord.parse(row.value);
}

function requireDistinct(report: InventoryReport): void {
  const seen = new Set<string>();
  const check = (key: string, where: string) => {
    if (seen.has(key))
      throw new LifeboatError('InvalidRequest', `${where} occurs twice in the inventory.`, { target: where });
    seen.add(key);
  };
  for (const machine of report.machines) {
    check(machine.id, `machine "${machine.id}"`);
    for (const disk of machine.disks)
      check(`${machine.id}/${disk.id}`, `disk "${disk.id}" of machine "${machine.id}"`);
  }
}

/** Stores what the host reported and forgets its machines that are not reported any more. May be repeated. */
export async function storeInventory(
  inventory: TablePort,
  fabric: string,
  report: InventoryReport,
  reportedAt: string,
): Promise<void> {
  requireDistinct(report);
  const machines = report.machines.map((machine): MachineRecord => ({
    ...machine,
    host: report.host.name,
    reportedAt,
    disks: machine.disks.map((disk, index) => ({
      ...disk,
      name: disk.name ?? disk.id,
      // A host that does not say boots from the first disk.
      type: disk.type ?? (index === 0 ? 'OperatingSystem' : 'DataDisk'),
    })),
  }));
  const partition = fabric.toLowerCase();
  const reported = new Set(machines.map((machine) => machine.id));
  const writes: RowWrite[] = machines.map((machine) => ({ kind: 'put', key: machine.id, value: machine }));
  for await (const row of inventory.list(partition)) {
    const known = machineRecord.parse(row.value);
    if (known.host === report.host.name && !reported.has(known.id))
      writes.push({ kind: 'delete', key: row.key, etag: row.etag });
  }
  for (let start = 0; start < writes.length; start += batchSize) {
    await inventory.transact(partition, writes.slice(start, start + batchSize));
  }
}
