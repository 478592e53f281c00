// The network adapters of a protected machine: what its host reported, with what updates chose for the machine in Azure.
import * as z from 'zod';
import type { MachineRecord } from '../inventory/inventory.ts';

const word = z.string().max(1000).nullish();
const ids = z.array(z.string().max(1000)).max(100).nullish();

const ipConfigInput = z.object({
  ipConfigName: word,
  isPrimary: z.boolean().nullish(),
  // The name is spelt so in the protocol.
  isSeletedForFailover: z.boolean().nullish(),
  recoverySubnetName: word,
  recoveryStaticIPAddress: word,
  recoveryPublicIPAddressId: word,
  recoveryLBBackendAddressPoolIds: ids,
  tfoSubnetName: word,
  tfoStaticIPAddress: word,
  tfoPublicIPAddressId: word,
  tfoLBBackendAddressPoolIds: ids,
});

export const vmNicInput = z
  .object({
    nicId: z.string().min(1).max(256),
    ipConfigs: z.array(ipConfigInput).max(64).nullish(),
    selectionType: word,
    recoveryNetworkSecurityGroupId: word,
    enableAcceleratedNetworkingOnRecovery: z.boolean().nullish(),
    tfoNetworkSecurityGroupId: word,
    enableAcceleratedNetworkingOnTfo: z.boolean().nullish(),
    recoveryNicName: word,
    recoveryNicResourceGroupName: word,
    reuseExistingNic: z.boolean().nullish(),
    tfoNicName: word,
    tfoNicResourceGroupName: word,
    tfoReuseExistingNic: z.boolean().nullish(),
    targetNicName: word,
  })
  .meta({ id: 'VMNicInputDetails' });
type VmNicInput = z.infer<typeof vmNicInput>;

/** What an item keeps of updates. */
const storedNics = z.array(vmNicInput);

type Nic = MachineRecord['nics'][number];

function ipConfigsOf(nic: Nic | undefined, chosen: VmNicInput | undefined) {
  const reported = nic?.ipAddresses ?? [];
  const configs = chosen?.ipConfigs ?? [];
  const count = Math.max(1, reported.length, configs.length);
  return Array.from({ length: count }, (_, index) => {
    const { ipConfigName, ...rest } = configs[index] ?? {};
    return {
      isPrimary: index === 0,
      isSeletedForFailover: index === 0,
      ...rest,
      name: ipConfigName ?? `ipConfig${index}`,
      staticIPAddress: reported[index] ?? null,
      ipAddressType: reported[index] === undefined ? 'Dynamic' : 'Static',
    };
  });
}

/** What an update chose, under the names that answers have. */
function choiceDetails(choice: Partial<VmNicInput> = {}) {
  return {
    selectionType: choice.selectionType ?? 'SelectedByDefault',
    recoveryNetworkSecurityGroupId: choice.recoveryNetworkSecurityGroupId,
    enableAcceleratedNetworkingOnRecovery: choice.enableAcceleratedNetworkingOnRecovery,
    tfoNetworkSecurityGroupId: choice.tfoNetworkSecurityGroupId,
    enableAcceleratedNetworkingOnTfo: choice.enableAcceleratedNetworkingOnTfo,
    recoveryNicName: choice.recoveryNicName,
    recoveryNicResourceGroupName: choice.recoveryNicResourceGroupName,
    reuseExistingNic: choice.reuseExistingNic,
    tfoRecoveryNicName: choice.tfoNicName,
    tfoRecoveryNicResourceGroupName: choice.tfoNicResourceGroupName,
    tfoReuseExistingNic: choice.tfoReuseExistingNic,
    targetNicName: choice.targetNicName,
  };
}

/** One entry for each reported adapter, then those that only an update named. */
export function vmNicsOf(
  machine: MachineRecord | undefined,
  providerInput: Readonly<Record<string, unknown>>,
) {
  const network = providerInput['targetAzureNetworkId'];
  const chosen = storedNics.safeParse(providerInput['vmNics']).data ?? [];
  const reported = new Map((machine?.nics ?? []).map((nic) => [nic.id, nic]));
  const all = new Set([...reported.keys(), ...chosen.map(({ nicId }) => nicId)]);
  return [...all].map((nicId) => {
    const nic = reported.get(nicId);
    const choice = chosen.find((each) => each.nicId === nicId);
    return {
      ...choiceDetails(choice),
      nicId,
      vMNetworkName: nic?.network ?? null,
      recoveryVMNetworkId: typeof network === 'string' ? network : null,
      ipConfigs: ipConfigsOf(nic, choice),
    };
  });
}
