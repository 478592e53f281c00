// What would make a failover fail, found while there is time: the settings of the item against Azure's rules and against
// what is known of the target. Pure; a timer calls it and shows what it returns.
import { targetDiskName } from '../compute/machineNames.ts';
import type { MachineDisk, MachineNic, MachineOrder } from '../compute/port.ts';
import { azureNameProblem } from './azureNames.ts';
import { addressProblem, parseIpv4 } from './ipv4.ts';

/** What is known of the target; a part that is absent is not checked. */
export interface TargetFacts {
  /** Subnets of the networks that the app may read. */
  networks?: readonly { id: string; subnets: readonly { name: string; prefix: string }[] }[];
  sizes?: readonly MachineSize[];
  /** Names of machines in the target's resource group that are not ours. */
  takenNames?: readonly string[];
}

export interface MachineSize {
  name: string;
  maxDataDisks: number;
  maxNics: number;
  generations: readonly ('1' | '2')[];
}

/** When the last test failover with a good verdict ended, and how long that counts. */
export interface DrillFacts {
  lastSuccessAt: Date | null;
  now: Date;
  warnAfterDays: number;
}

export interface ConfigurationIssue {
  /** An error makes the failover fail; a warning is a risk. */
  severity: 'Error' | 'Warning';
  /** Stable name of the check. */
  check: string;
  /** What it is about: a disk, an adapter, a setting. */
  subject: string;
  /** What is wrong and what to do. */
  message: string;
}

export interface ReadinessInput {
  /** As a failover would order it. */
  failover: MachineOrder;
  /** As a test would; the networks may be missing, a test can name one. */
  test: MachineOrder;
  provider: 'vhd' | 'azure' | 'qemu';
  facts?: TargetFacts;
  drill?: DrillFacts;
}

type Report = (issue: ConfigurationIssue) => void;

const gibibyte = 2 ** 30;
const osDiskLimitBytes = 4095 * gibibyte;
const generation1OsDiskLimitBytes = 2048 * gibibyte;
const dataDiskLimitBytes = 32_767 * gibibyte;
/** Of a disk that Azure imports, without the footer. */
const smallestImportBytes = 20 * 2 ** 20;
const dayMs = 86_400_000;

/** Every issue, errors first; an empty list = a failover is expected to work. */
export function failoverReadiness(input: ReadinessInput): ConfigurationIssue[] {
  const issues: ConfigurationIssue[] = [];
  const report: Report = (issue) => issues.push(issue);
  checkName(input, report);
  checkDisks(input, report);
  if (input.provider === 'azure') {
    checkPlacement(input, report);
    checkNics(input, report);
    checkSize(input, report);
  }
  if (input.drill) checkDrill(input.drill, report);
  const rank = ({ severity }: ConfigurationIssue): number => (severity === 'Error' ? 0 : 1);
  return issues.sort((a, b) => rank(a) - rank(b));
}

const error = (check: string, subject: string, message: string): ConfigurationIssue => ({
  ...{ severity: 'Error', check, subject, message },
});
const warning = (check: string, subject: string, message: string): ConfigurationIssue => ({
  ...{ severity: 'Warning', check, subject, message },
});

function checkName({ failover, facts }: ReadinessInput, report: Report): void {
  const { name } = failover;
  const problem = azureNameProblem('virtualMachine', name);
  if (problem !== undefined) report(error('TargetName', 'targetAzureVmName', problem));
  if (facts?.takenNames?.some((taken) => taken.toLowerCase() === name.toLowerCase())) {
    const message = `A machine called "${name}" exists in the target's resource group; choose another target name, or delete it.`;
    report(error('TargetNameTaken', 'targetAzureVmName', message));
  }
}

function checkDisks({ failover, provider }: ReadinessInput, report: Report): void {
  const osDisks = failover.disks.filter(({ type }) => type === 'OperatingSystem');
  if (osDisks.length !== 1) {
    const message = `The machine has ${osDisks.length} operating system disks; choose the one that it boots from (vhdId).`;
    report(error('OsDisk', 'vhdId', message));
  }
  const names = new Map<string, string>();
  for (const disk of failover.disks) {
    checkDiskSize(failover, disk, provider, report);
    const name = targetDiskName(failover, disk);
    const problem = azureNameProblem('disk', name);
    if (problem !== undefined) report(error('DiskName', disk.disk, problem));
    const other = names.get(name.toLowerCase());
    if (other !== undefined)
      report(error('DiskName', disk.disk, `Disks ${other} and ${disk.disk} would both be called "${name}".`));
    names.set(name.toLowerCase(), disk.disk);
  }
}

function checkDiskSize(
  { generation }: MachineOrder,
  { disk, type, blobSizeBytes }: MachineDisk,
  provider: ReadinessInput['provider'],
  report: Report,
): void {
  const sizeBytes = blobSizeBytes - 512;
  const isOsDisk = type === 'OperatingSystem';
  const limitBytes = isOsDisk ? osDiskLimitBytes : dataDiskLimitBytes;
  const size = `${Math.ceil(sizeBytes / gibibyte)} GiB`;
  if (sizeBytes > limitBytes)
    report(error('DiskSize', disk, `Disk ${disk} has ${size}; Azure takes ${limitBytes / gibibyte} GiB.`));
  if (isOsDisk && generation === '1' && sizeBytes > generation1OsDiskLimitBytes) {
    const message = `Operating system disk ${disk} has ${size}; a generation 1 machine boots from at most 2048 GiB.`;
    report(error('DiskSize', disk, message));
  }
  if (provider === 'azure' && sizeBytes < smallestImportBytes)
    report(error('DiskSize', disk, `Disk ${disk} is smaller than 20 MiB, which Azure does not import.`));
}

const armIds = {
  resourceGroup: /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+$/i,
  network:
    /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.Network\/virtualNetworks\/[^/]+$/i,
  availabilitySet:
    /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.Compute\/availabilitySets\/[^/]+$/i,
};

function checkPlacement({ failover: { placement } }: ReadinessInput, report: Report): void {
  const { resourceGroupId, availabilitySetId, zone } = placement;
  if (resourceGroupId === null || !armIds.resourceGroup.test(resourceGroupId)) {
    const found =
      resourceGroupId === null ? 'is not set' : `"${resourceGroupId}" is no id of a resource group`;
    const message = `targetAzureV2ResourceGroupId ${found}; give /subscriptions/<id>/resourceGroups/<name>.`;
    report(error('ResourceGroup', 'targetAzureV2ResourceGroupId', message));
  }
  if (availabilitySetId !== null && !armIds.availabilitySet.test(availabilitySetId))
    report(
      error(
        'Availability',
        'targetAvailabilitySetId',
        `"${availabilitySetId}" is no id of an availability set.`,
      ),
    );
  if (availabilitySetId !== null && zone !== null) {
    const message = 'A machine has an availability set or a zone, not both; remove one of them.';
    report(error('Availability', 'targetAvailabilityZone', message));
  }
  if (zone !== null && !/^[1-3]$/.test(zone))
    report(error('Availability', 'targetAvailabilityZone', `Zone "${zone}" does not exist; use 1, 2 or 3.`));
}

function checkNics({ failover, test, facts }: ReadinessInput, report: Report): void {
  if (failover.nics.length === 0) {
    const message = 'The machine would have no network adapter, which Azure does not allow; include one.';
    report(error('Network', 'vmNics', message));
  }
  for (const nic of failover.nics) checkNic(nic, facts, report);
  checkNicsTogether(failover.nics, report);
  const networks = networksOf(failover.nics);
  for (const nic of test.nics) {
    if (nic.networkId === null) continue;
    checkNic(nic, facts, report);
    if (!networks.has(nic.networkId.toLowerCase())) continue;
    const message = `The test network of adapter ${nic.nic} is the real one: a test machine would meet real ones. Choose an isolated network.`;
    report(warning('TestNetwork', nic.nic, message));
  }
}

const networksOf = (nics: readonly MachineNic[]): Set<string> =>
  new Set(nics.flatMap(({ networkId }) => networkId?.toLowerCase() ?? []));

function checkNicsTogether(nics: readonly MachineNic[], report: Report): void {
  if (networksOf(nics).size > 1)
    report(error('Network', 'vmNics', 'The adapters of a machine must be in one virtual network.'));
  const addresses = nics.flatMap(({ staticIp }) => staticIp ?? []);
  for (const address of new Set(addresses))
    if (addresses.filter((each) => each === address).length > 1)
      report(error('StaticIp', 'vmNics', `Two adapters would have the address ${address}.`));
}

/** What was chosen for one adapter; what is still to be chosen is not looked at. */
function checkNicChoice({ nic, networkId, staticIp }: MachineNic, report: Report): void {
  if (networkId !== null && !armIds.network.test(networkId))
    report(error('Network', nic, `"${networkId}" is no id of a virtual network.`));
  if (staticIp !== null && parseIpv4(staticIp) === undefined)
    report(error('StaticIp', nic, `"${staticIp}" is no IPv4 address.`));
}

/**
 * The choices for the target that no later choice makes right: names of disks that Azure refuses, disks it does not take,
 * networks and addresses that are none. Fewer than `failoverReadiness`: a network that is still to be chosen is no problem yet.
 */
export function choiceProblems(orders: Pick<ReadinessInput, 'failover' | 'test'>): ConfigurationIssue[] {
  const issues: ConfigurationIssue[] = [];
  const report: Report = (issue) => issues.push(issue);
  checkDisks({ ...orders, provider: 'vhd' }, report);
  for (const nic of [...orders.failover.nics, ...orders.test.nics]) checkNicChoice(nic, report);
  checkNicsTogether(orders.failover.nics, report);
  return issues;
}

function checkNic(nic: MachineNic, facts: TargetFacts | undefined, report: Report): void {
  const { networkId, subnet } = nic;
  if (networkId === null) {
    const message = `No network is chosen for adapter ${nic.nic}; set it, map the source's network, or set targetAzureNetworkId.`;
    report(error('Network', nic.nic, message));
    return;
  }
  checkNicChoice(nic, report);
  if (subnet === null)
    report(error('Subnet', nic.nic, `No subnet of ${networkId} is chosen for adapter ${nic.nic}.`));
  if (facts?.networks) checkSubnet(nic, facts.networks, report);
}

/** The adapter's network, subnet and address against those that exist. */
function checkSubnet(
  { nic, networkId, subnet, staticIp }: MachineNic,
  networks: NonNullable<TargetFacts['networks']>,
  report: Report,
): void {
  const network = networks.find(({ id }) => id.toLowerCase() === networkId?.toLowerCase());
  if (!network) {
    report(error('Network', nic, `Network ${networkId ?? ''} does not exist, or the app may not read it.`));
    return;
  }
  if (subnet === null) return;
  const found = network.subnets.find(({ name }) => name.toLowerCase() === subnet.toLowerCase());
  if (!found) {
    const known = network.subnets.map(({ name }) => name).join(', ');
    report(error('Subnet', nic, `Network ${network.id} has no subnet "${subnet}"; it has ${known}.`));
    return;
  }
  if (staticIp === null || parseIpv4(staticIp) === undefined) return;
  const problem = addressProblem(staticIp, found.prefix);
  if (problem !== undefined) report(error('StaticIp', nic, `${problem}; choose another address.`));
}

function checkSize({ failover, facts }: ReadinessInput, report: Report): void {
  const { size: name } = failover.placement;
  if (!facts?.sizes || name === null) return;
  const size = facts.sizes.find((each) => each.name.toLowerCase() === name.toLowerCase());
  const refuse = (message: string) => report(error('Size', 'targetVmSize', message));
  if (!size) {
    refuse(`Size ${name} is not offered in the region; see targetComputeSizes.`);
    return;
  }
  const dataDisks = failover.disks.filter(({ type }) => type === 'DataDisk').length;
  if (dataDisks > size.maxDataDisks)
    refuse(`Size ${name} takes ${size.maxDataDisks} data disks; the machine has ${dataDisks}.`);
  if (failover.nics.length > size.maxNics)
    refuse(`Size ${name} takes ${size.maxNics} network adapters; the machine has ${failover.nics.length}.`);
  if (!size.generations.includes(failover.generation))
    refuse(`Size ${name} does not run generation ${failover.generation} machines.`);
}

function checkDrill({ lastSuccessAt, now, warnAfterDays }: DrillFacts, report: Report): void {
  const days = lastSuccessAt === null ? null : Math.floor((now.getTime() - lastSuccessAt.getTime()) / dayMs);
  if (days !== null && days < warnAfterDays) return;
  const last =
    days === null
      ? 'No test failover has ever succeeded'
      : `The last good test failover was ${days} days ago`;
  report(warning('Drill', 'testFailover', `${last}; run one, or schedule drills.`));
}
