// The names of what a failover makes at the target. They follow from the order alone: the same order, the same names.
import { azureNameFrom } from '../recovery/azureNames.ts';
import type { FreezeRef, MachineDisk, MachineNic, MachineOrder, MachineRef } from './port.ts';

/** Enough of the job's id to keep two failovers of one machine apart, and short enough for every name. */
const jobSuffix = (jobId: string): string => `-${jobId.replaceAll(/[^a-z0-9]/gi, '').slice(-8)}`;

/** A test machine has a name of its own: it may exist beside the real one. */
export function machineName({ name, purpose }: Pick<MachineOrder, 'name' | 'purpose'>): string {
  return purpose === 'test' ? azureNameFrom('virtualMachine', name, '-test') : name;
}

export function targetDiskName(order: MachineOrder, disk: MachineDisk): string {
  if (order.purpose === 'failover' && disk.targetName !== null) return disk.targetName;
  const part = disk.type === 'OperatingSystem' ? 'os' : `data${disk.lun}`;
  return azureNameFrom('disk', machineName(order), `-${part}${jobSuffix(order.jobId)}`);
}

/** Of a disk that a job freezes: `jobId` is that job's. */
export function snapshotName({ order, jobId, pass }: FreezeRef, disk: MachineDisk): string {
  const part = disk.type === 'OperatingSystem' ? 'os' : `data${disk.lun}`;
  return azureNameFrom('disk', machineName(order), `-${part}-pass${pass}${jobSuffix(jobId)}`);
}

export function nicName(order: MachineOrder, nic: MachineNic): string {
  const index = order.nics.findIndex((each) => each.nic === nic.nic);
  return azureNameFrom('networkInterface', machineName(order), `-nic${index}${jobSuffix(order.jobId)}`);
}

export function securityGroupName(order: MachineOrder): string {
  return azureNameFrom('networkSecurityGroup', machineName(order), `-nsg${jobSuffix(order.jobId)}`);
}

export const itemTag = 'lifeboat-item';
export const jobTag = 'lifeboat-job';
const purposeTag = 'lifeboat-purpose';

/** The marks of everything that a job makes. */
export function marksOf(
  { item, jobId }: MachineRef,
  purpose: MachineOrder['purpose'],
): Record<string, string> {
  return { [itemTag]: item, [jobTag]: jobId, [purposeTag]: purpose };
}
