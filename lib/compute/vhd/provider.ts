// The provider that makes no machine: the recovered disks stay where they are, and beside them lie a template and its
// parameters that make the machine anywhere in Azure, or the disks are attached by hand to any hypervisor.
import { LifeboatError } from '../../errors.ts';
import { recoveredFolder } from '../../recovery/names.ts';
import type { Storage } from '../../storage/ports.ts';
import { computeDone, type ComputeProvider, type MachineOrder } from '../port.ts';
import { templateFiles } from './template.ts';

/** All names that the provider may have written in a job's folder. */
const fileNames = ['machine.json', 'machine.parameters.json', 'machine.bicep'];

/** Throws `RecoveryDiskMissing` unless every disk of the order is there, whole and free. */
export async function requireDisks(
  { recovered }: Pick<Storage, 'recovered'>,
  { disks }: Pick<MachineOrder, 'disks'>,
): Promise<void> {
  for (const { blobName, blobSizeBytes } of disks) {
    const found = await recovered.find(blobName);
    if (found?.sizeBytes === blobSizeBytes && !found.isLeased) continue;
    const state = found === undefined ? 'does not exist' : 'is not whole';
    throw new LifeboatError('RecoveryDiskMissing', `Recovered disk ${blobName} ${state}.`, {
      target: blobName,
    });
  }
}

/** Machines as templates. */
export function vhdProvider(storage: Pick<Storage, 'recovered' | 'recoveredFiles'>): ComputeProvider {
  const { recoveredFiles } = storage;
  return {
    kind: 'vhd',
    runsMachines: false,
    async prepareDisks(order) {
      await requireDisks(storage, order);
      return computeDone;
    },
    async createMachine(order) {
      const folder = recoveredFolder(order.item, order.jobId);
      const encoder = new TextEncoder();
      for (const [name, text] of Object.entries(templateFiles(order)))
        await recoveredFiles.put(`${folder}${name}`, encoder.encode(text));
      return computeDone;
    },
    powerState: async () => 'unknown',
    startMachine: async () => computeDone,
    stopMachine: async () => computeDone,
    captureDisks: async () => computeDone,
    observeBoot: async () => ({
      ...{ verdict: 'unavailable', evidenceLine: null, consoleText: '', screenshot: null },
    }),
    async deleteAll({ item, jobId }) {
      for (const name of fileNames) {
        const found = await recoveredFiles.find(`${recoveredFolder(item, jobId)}${name}`);
        if (found) await recoveredFiles.delete(found.name, found.etag);
      }
      return computeDone;
    },
    async *listLeftovers() {
      // The recovered disks themselves are swept by lib/recovery; a template without disks is harmless.
    },
  };
}
