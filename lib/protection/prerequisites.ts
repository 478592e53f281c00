// What must hold before a machine may be protected. Every failed check is listed, not just the first.
import { isLifeboatError } from '../errors.ts';
import type { ErrorRecord } from '../errors.ts';
import type { MachineRecord } from '../inventory/inventory.ts';
import type { Storage } from '../storage/ports.ts';
import { isPolicyMapped } from '../vault/mappings.ts';
import { findPolicy } from '../vault/policies.ts';
import { paddedSizeBytes } from '../vhd/fixed.ts';
import type { DiskRecord, ItemRecord } from './item.ts';
import { checkTarget } from './target.ts';

const tebibyte = 2 ** 40;
/** Azure boots generation 1 machines from MBR disks, and takes no operating system disk above 4,095 GiB at all. */
const osDiskLimitBytes = { '1': 2 * tebibyte, '2': 4095 * 2 ** 30 } as const;
/** The largest machine sizes attach 64 data disks. */
const diskCountLimit = 65;

type Refuse = (message: string) => void;

function checkDisk(disk: DiskRecord, machine: MachineRecord, refuse: Refuse): void {
  const { disk: id, type, sizeBytes } = disk;
  try {
    paddedSizeBytes(sizeBytes);
  } catch (error) {
    if (!isLifeboatError(error, 'DiskUnsupported')) throw error;
    refuse(`Disk ${id} cannot be replicated: ${error.message}.`);
  }
  const limitBytes = osDiskLimitBytes[machine.generation];
  if (type === 'OperatingSystem' && sizeBytes > limitBytes) {
    const limit = `${Math.floor(limitBytes / 2 ** 30)} GiB`;
    refuse(
      `Disk ${id} is the operating system disk of a generation ${machine.generation} machine and larger than ${limit}.`,
    );
  }
  const reported = machine.disks.find((each) => each.id === id);
  if (!reported) {
    refuse(`Disk ${id} is not in the inventory of machine ${machine.name} any more.`);
    return;
  }
  if (reported.sizeBytes !== sizeBytes)
    refuse(`Disk ${id} has ${reported.sizeBytes} bytes in the inventory, not ${sizeBytes}.`);
  if (reported.logicalSectorBytes !== 512)
    refuse(`Disk ${id} has sectors of ${reported.logicalSectorBytes} bytes; a VHD has sectors of 512 bytes.`);
  if (reported.isShared)
    refuse(`Disk ${id} is shared or passed through: it cannot be frozen with the machine.`);
}

/** The checks on the disks that the item has (or that shall be added to it). */
export function checkDisks(disks: readonly DiskRecord[], machine: MachineRecord): ErrorRecord[] {
  const errors: ErrorRecord[] = [];
  const refuse: Refuse = (message) => errors.push({ code: 'DiskUnsupported', message });
  for (const disk of disks) checkDisk(disk, machine, refuse);
  return errors;
}

function checkSelection(disks: readonly DiskRecord[]): ErrorRecord[] {
  const errors: ErrorRecord[] = [];
  const refuse: Refuse = (message) => errors.push({ code: 'DiskUnsupported', message });
  if (disks.length === 0) refuse('No disk of the machine is selected.');
  if (disks.length > diskCountLimit)
    refuse(`${disks.length} disks are selected; Azure attaches at most ${diskCountLimit}.`);
  const osDisks = disks.filter(({ type }) => type === 'OperatingSystem').map(({ disk }) => disk);
  if (osDisks.length > 1)
    refuse(`Disks ${osDisks.join(', ')} are all operating system disks; Azure boots from one.`);
  return errors;
}

/** All checks; `machine` is what the inventory says now. Empty when the machine may be protected. */
export async function checkMachine(
  storage: Pick<Storage, 'vault'>,
  record: ItemRecord,
  machine: MachineRecord | undefined,
): Promise<ErrorRecord[]> {
  const errors: ErrorRecord[] = [];
  if (!machine) {
    const message = `Machine ${record.machine} is not in the inventory of site ${record.fabric}.`;
    errors.push({ code: 'ResourceNotFound', message });
  } else errors.push(...checkSelection(record.disks), ...checkDisks(record.disks, machine));
  if (!(await findPolicy(storage.vault, record.policy))) {
    const message = `Replication policy "${record.policy}" does not exist.`;
    errors.push({ code: 'ResourceNotFound', message });
  } else if (!(await isPolicyMapped(storage.vault, record.container, record.policy))) {
    const message = `Policy "${record.policy}" is not mapped to container "${record.container}"; create a container mapping first.`;
    errors.push({ code: 'InvalidRequest', message });
  }
  return [...errors, ...(await checkTarget(storage.vault, record))];
}
