// A whole service in a test whose machines are made in a fake Azure: its disks can be written by the guest, and read through
// snapshots only. Sizes and networks of the machines are the test's, not Azure's rules about them (readiness.test.ts has those).
import { createHash } from 'node:crypto';
import { armClient } from '../../lib/azure/arm.ts';
import { openExportedDisk } from '../../lib/azure/exportedDisk.ts';
import { azureProvider } from '../../lib/compute/azure/provider.ts';
import { targetDiskName } from '../../lib/compute/machineNames.ts';
import type { ComputeProvider, FreezeRef, MachineOrder } from '../../lib/compute/port.ts';
import { startCommit } from '../../lib/recovery/afterFailover.ts';
import { failbackWork, reportFailbackApplied } from '../../lib/recovery/failback.ts';
import { startFailover } from '../../lib/recovery/failover.ts';
import { updateRun } from '../../lib/recovery/recoveryRun.ts';
import { replicaName } from '../../lib/replication/names.ts';
import { FakeArm, fakeEndpoint, fakeToken } from './fakeArm/fakeArm.ts';
import { FakeDisks } from './fakeArm/fakeDisks.ts';
import { machineOrder, networkId, resourceGroupId } from './machineOrder.ts';
import { RecoveryLife, item } from './recoveryLife.ts';

const recoveredUrl = 'https://lifeboat.blob.core.windows.net/recovered';

/** The order with a group and a network, which the items of these tests have not chosen. */
const placed = (order: MachineOrder): MachineOrder => {
  const { nics, placement } = machineOrder();
  return { ...order, nics, placement };
};
const placedRef = (ref: FreezeRef): FreezeRef => ({ ...ref, order: placed(ref.order) });

function withPlacement(provider: ComputeProvider): ComputeProvider {
  const { freezing } = provider;
  return {
    ...provider,
    // What Azure asks of sizes is not asked here.
    kind: 'qemu',
    prepareDisks: (order) => provider.prepareDisks(placed(order)),
    createMachine: (order) => provider.createMachine(placed(order)),
    powerState: (order) => provider.powerState(placed(order)),
    startMachine: (order) => provider.startMachine(placed(order)),
    stopMachine: (order) => provider.stopMachine(placed(order)),
    ...(freezing && {
      freezing: {
        freeze: (ref) => freezing.freeze(placedRef(ref)),
        withFrozenDisks: (ref, disks, work) => freezing.withFrozenDisks(placedRef(ref), disks, work),
      },
    }),
  };
}

export class AzureLife {
  readonly life: RecoveryLife;
  readonly arm: FakeArm;
  readonly disks: FakeDisks;
  /** Runs before each request to Resource Manager; throws for one that does not get through. */
  beforeRequest: (method: string, path: string) => void = () => undefined;

  private constructor(life: RecoveryLife, disks: FakeDisks) {
    this.life = life;
    this.disks = disks;
    this.arm = new FakeArm({
      ...{ resourceGroups: ['dr'], subnets: [`${networkId}/subnets/front`], polls: 1, disks },
      readBlob: (url) => {
        const name = url.slice(recoveredUrl.length + 1);
        return life.storage.recovered
          .find(name)
          .then((found) =>
            life.storage.recovered.read(name, { offsetBytes: 0, lengthBytes: found?.sizeBytes ?? 0 }),
          );
      },
    });
    const arm = armClient({
      ...{ endpoint: fakeEndpoint, tokens: { getToken: async () => fakeToken }, sleep: async () => {} },
      maxTries: 2,
      fetch: async (url, init) => {
        this.beforeRequest(init?.method ?? 'GET', new URL(url).pathname);
        return this.arm.fetch(url, init);
      },
    });
    const [, , subscriptionId = ''] = resourceGroupId.split('/');
    const storageAccountId = `${resourceGroupId}/providers/Microsoft.Storage/storageAccounts/lifeboat`;
    life.context.compute = withPlacement(
      azureProvider(
        {
          ...{ arm, storage: life.storage, download: async () => new Uint8Array() },
          openExportedDisk: (url) => openExportedDisk(url, { maxTries: 1 }),
        },
        { subscriptionId, location: 'westeurope', storageAccountId, recoveredUrl },
      ),
    );
  }

  /** Protected, failed over and committed: the machine runs in Azure. */
  static async create(disks: FakeDisks): Promise<AzureLife> {
    const made = new AzureLife(await RecoveryLife.create(2), disks);
    const { life } = made;
    await life.finish(await startFailover(life.context, life.orchestrations, { item, kind: 'unplanned' }));
    await life.finish(await startCommit(life.context, life.orchestrations, item));
    return made;
  }

  async #order(): Promise<MachineOrder> {
    const { failover } = await this.life.life.record();
    return placed((await updateRun(this.life.storage.items, item, failover!.jobId)).order);
  }

  #key(order: MachineOrder, disk: string): string {
    const of = order.disks.find((each) => each.disk === disk)!;
    return `${resourceGroupId}/providers/Microsoft.Compute/disks/${targetDiskName(order, of)}`.toLowerCase();
  }

  /** What the guest does, in Azure. */
  async write(disk: string, offset: number, bytes: Uint8Array): Promise<void> {
    this.disks.disks.get(this.#key(await this.#order(), disk))!.set(bytes, offset);
  }

  /** Makes a disk of the machine larger, with these bytes at its new end. */
  async enlarge(disk: string, tail: Uint8Array): Promise<void> {
    const key = this.#key(await this.#order(), disk);
    this.disks.disks.set(key, Buffer.concat([this.disks.disks.get(key)!, tail]));
  }

  /** SHA-256 of the machine's disk, as far as the source's disk goes. */
  async machineDigest(disk: string): Promise<string> {
    const bytes = this.disks.disks.get(this.#key(await this.#order(), disk))!;
    const { length } = this.life.life.source.disks.get(disk)!;
    return createHash('sha256').update(bytes.subarray(0, length)).digest('hex');
  }

  get power(): string | undefined {
    return [...this.arm.power.values()][0];
  }

  /** Snapshots that are there, and access that was not taken back. */
  leftovers(): string[] {
    const snapshots = [...this.arm.resources.values()].filter(({ type }) => type.endsWith('/snapshots'));
    return [...snapshots.map(({ name }) => name), ...[...this.disks.grants.keys()].map(() => 'access')];
  }

  /** The source writes what it is told to, as its agent does. */
  async applyAtSource(): Promise<void> {
    const { life } = this;
    const work = await failbackWork(life.context, await life.life.record());
    for (const { disk, sizeBytes, snapshotId, isApplied } of work?.disks ?? []) {
      if (isApplied) continue;
      const range = { offsetBytes: 0, lengthBytes: sizeBytes };
      const bytes = await life.storage.replicas.read(replicaName(item, disk), range, snapshotId);
      life.life.source.disks.set(disk, bytes);
      await reportFailbackApplied(life.context, life.orchestrations, item, { disk, cycle: work!.cycle });
    }
  }
}
