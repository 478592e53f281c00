// Recovered machines in Azure: managed disks imported from the recovered blobs, network interfaces, a virtual machine.
// Each call looks at every resource and puts those that are missing, so nothing has to be remembered between calls; what
// belongs to a job is known by its tags.
import type { ArmClient, ArmResource } from '../../azure/arm.ts';
import { LifeboatError, isLifeboatError } from '../../errors.ts';
import type { Storage } from '../../storage/ports.ts';
import { findBootEvidence, readableConsole } from '../consoleText.ts';
import { itemTag, jobTag, machineName } from '../machineNames.ts';
import { machineResources, resourceTypes, type AzureResource } from '../machineResources.ts';
import {
  computeDone,
  type BootObservation,
  type ComputeProgress,
  type ComputeProvider,
  type MachineOrder,
  type MachineRef,
} from '../port.ts';
import { requireDisks } from '../vhd/provider.ts';

export interface AzureComputeSettings {
  subscriptionId: string;
  location: string;
  storageAccountId: string;
  /** URL of the container `recovered`, without a slash at its end. */
  recoveredUrl: string;
  /** For machines that no size was chosen for; default Standard_D2s_v5. */
  defaultSize?: string;
}

export interface AzureComputeServices {
  arm: ArmClient;
  storage: Pick<Storage, 'recovered'>;
  /** Reads a URL that Azure gave for a console; without credentials. */
  download(url: string): Promise<Uint8Array>;
}

const resourcesApiVersion = '2021-04-01';
const pollSeconds = 5;
const consoleLimitBytes = 64 * 1024;

/** What is deleted at once; a later stage can go only when the earlier ones are gone. */
const deletionStages: readonly (readonly string[])[] = [
  [resourceTypes.machine.type],
  [resourceTypes.nic.type, resourceTypes.disk.type],
  [resourceTypes.securityGroup.type],
];
const apiVersions: ReadonlyMap<string, string> = new Map(
  Object.values(resourceTypes).map(({ type, apiVersion }) => [type.toLowerCase(), apiVersion]),
);

export function azureProvider(
  services: AzureComputeServices,
  settings: AzureComputeSettings,
): ComputeProvider {
  const { arm } = services;
  const resourcesOf = (order: MachineOrder): AzureResource[] => resourcesIn(order, settings);
  const machineId = (order: MachineOrder): string =>
    resourceId(order, resourceTypes.machine.type, machineName(order));
  const machineVersion = resourceTypes.machine.apiVersion;
  return {
    kind: 'azure',
    runsMachines: true,
    async prepareDisks(order) {
      await requireDisks(services.storage, order);
      return ensureAll(
        arm,
        order,
        resourcesOf(order).filter(({ type }) => type === resourceTypes.disk.type),
      );
    },
    async createMachine(order) {
      // In their order: a network interface names its security group, the machine names all the others.
      for (const resource of resourcesOf(order)) {
        const progress = await ensure(arm, order, resource);
        if (!progress.isDone) return progress;
      }
      return computeDone;
    },
    powerState: (order) => powerState(arm, `${machineId(order)}/instanceView`),
    async startMachine(order) {
      const state = await powerState(arm, `${machineId(order)}/instanceView`);
      if (state === 'running' || state === 'starting') return computeDone;
      const outcome = await arm.post(`${machineId(order)}/start`, machineVersion);
      return outcome.state === 'done' ? computeDone : waiting(`${machineName(order)} to start`);
    },
    async stopMachine(order) {
      const state = await powerState(arm, `${machineId(order)}/instanceView`);
      if (state === 'absent' || state === 'stopped') return computeDone;
      const outcome = await arm.post(`${machineId(order)}/deallocate`, machineVersion);
      return outcome.state === 'done' ? computeDone : waiting(`${machineName(order)} to stop`);
    },
    async captureDisks(order) {
      const message = `The disks of ${machineName(order)} are managed disks; they cannot be read back into ${order.disks[0]?.blobName ?? 'the recovered blobs'}. Export them, or fail back with Azure Site Recovery.`;
      throw new LifeboatError('ComputeFailed', message);
    },
    observeBoot: (order, marker, options) =>
      observeBoot(services, machineId(order), marker, options?.wantsScreenshot ?? false),
    deleteAll: (ref) => deleteAll(arm, settings, ref),
    async *listLeftovers() {
      for await (const { type, name, tags } of listTagged(arm, settings, `tagName eq '${jobTag}'`)) {
        const [item, jobId] = [tags?.[itemTag], tags?.[jobTag]];
        if (item !== undefined && jobId !== undefined) yield { item, jobId, what: `${type} ${name}` };
      }
    },
  };
}

function resourcesIn(order: MachineOrder, settings: AzureComputeSettings): AzureResource[] {
  const { location, storageAccountId, recoveredUrl, defaultSize = 'Standard_D2s_v5' } = settings;
  return machineResources(order, {
    ...{ location, storageAccountId, defaultSize },
    blobUrl: (blobName) => `${recoveredUrl}/${blobName}`,
    resourceId: (type, name) => resourceId(order, type, name),
    subnetId: ({ nic, networkId, subnet }) => {
      if (networkId !== null && subnet !== null) return `${networkId}/subnets/${subnet}`;
      throw new LifeboatError('ComputeFailed', `No network and subnet is chosen for adapter ${nic}.`);
    },
  });
}

function resourceId({ placement, name: machine }: MachineOrder, type: string, name: string): string {
  if (placement.resourceGroupId !== null) return `${placement.resourceGroupId}/providers/${type}/${name}`;
  throw new LifeboatError('ComputeFailed', `No target resource group is chosen for machine ${machine}.`);
}

const waiting = (waitingFor: string, retryAfterSeconds = pollSeconds): ComputeProgress => ({
  ...{ isDone: false, waitingFor, retryAfterSeconds },
});

async function ensureAll(
  arm: ArmClient,
  order: MachineOrder,
  resources: readonly AzureResource[],
): Promise<ComputeProgress> {
  const all = await Promise.allSettled(resources.map((resource) => ensure(arm, order, resource)));
  // Every request has ended by now: none lands behind the back of whoever hears of the failure.
  const progress = all.map((each) => {
    if (each.status === 'rejected') throw each.reason;
    return each.value;
  });
  return progress.find(({ isDone }) => !isDone) ?? computeDone;
}

/** The resource as it must be: made when it is missing, put again when an earlier attempt at it failed. */
async function ensure(
  arm: ArmClient,
  order: MachineOrder,
  resource: AzureResource,
): Promise<ComputeProgress> {
  const { type, name, apiVersion } = resource;
  const found = await arm.find(resourceId(order, type, name), apiVersion);
  if (found && found.tags?.[jobTag] !== order.jobId) {
    const message = `${type} "${name}" exists in ${order.placement.resourceGroupId ?? ''} and does not belong to this failover.`;
    throw new LifeboatError('TargetNameTaken', message, { target: name });
  }
  const state = found?.properties?.provisioningState;
  if (state === 'Succeeded') return computeDone;
  if (state !== undefined && state !== 'Failed' && state !== 'Canceled') return waiting(`${type} ${name}`);
  const onlyNew = found === undefined && type === resourceTypes.machine.type;
  return put(arm, order, resource, onlyNew);
}

async function put(
  arm: ArmClient,
  order: MachineOrder,
  { type, name, apiVersion, body }: AzureResource,
  onlyNew: boolean,
): Promise<ComputeProgress> {
  const id = resourceId(order, type, name);
  try {
    const outcome = await arm.put(id, apiVersion, body, { onlyNew });
    return outcome.state === 'done' ? computeDone : waiting(`${type} ${name}`, outcome.retryAfterSeconds);
  } catch (error) {
    // The answer to a first attempt may have been lost, and the second meets what the first one made.
    if (!isLifeboatError(error, 'ComputeUnavailable', 'TargetNameTaken')) throw error;
    const made = await arm.find(id, apiVersion);
    if (made?.tags?.[jobTag] !== order.jobId) throw error;
    return waiting(`${type} ${name}`);
  }
}

async function powerState(arm: ArmClient, instanceViewId: string): ReturnType<ComputeProvider['powerState']> {
  const view = await arm.find(instanceViewId, resourceTypes.machine.apiVersion);
  if (!view) return 'absent';
  const { statuses = [] } = view as { statuses?: readonly { code?: string }[] };
  const code = statuses
    .find((each) => each.code?.startsWith('PowerState/'))
    ?.code?.slice('PowerState/'.length);
  if (code === 'running') return 'running';
  if (code === 'starting') return 'starting';
  return code === 'stopped' || code === 'deallocated' || code === 'deallocating' ? 'stopped' : 'unknown';
}

async function observeBoot(
  services: AzureComputeServices,
  machineId: string,
  marker: string | null,
  wantsScreenshot: boolean,
): Promise<BootObservation> {
  const { arm } = services;
  const path = `${machineId}/retrieveBootDiagnosticsData?sasUriExpirationTimeInMinutes=60`;
  const outcome = await arm.post<{ serialConsoleLogBlobUri?: string; consoleScreenshotBlobUri?: string }>(
    path,
    resourceTypes.machine.apiVersion,
  );
  const urls = outcome.state === 'done' ? outcome.body : undefined;
  const fetched = (url: string | undefined) =>
    url === undefined
      ? Promise.resolve(new Uint8Array())
      : services.download(url).catch(() => new Uint8Array());
  const consoleText = readableConsole(
    (await fetched(urls?.serialConsoleLogBlobUri)).slice(-consoleLimitBytes),
  );
  const evidenceLine = findBootEvidence(consoleText, marker) ?? null;
  const picture = wantsScreenshot ? await fetched(urls?.consoleScreenshotBlobUri) : new Uint8Array();
  const screenshot = picture.length === 0 ? null : { mediaType: 'image/bmp', bytes: picture };
  const state = evidenceLine === null ? await powerState(arm, `${machineId}/instanceView`) : 'running';
  const verdict =
    evidenceLine !== null ? 'booted' : state === 'stopped' || state === 'absent' ? 'ended' : 'pending';
  return { verdict, evidenceLine, consoleText, screenshot };
}

function listTagged(
  arm: ArmClient,
  { subscriptionId }: AzureComputeSettings,
  filter: string,
): AsyncIterable<ArmResource> {
  const path = `/subscriptions/${subscriptionId}/resources?$filter=${encodeURIComponent(filter)}`;
  return arm.list(path, resourcesApiVersion);
}

async function deleteAll(
  arm: ArmClient,
  settings: AzureComputeSettings,
  { jobId }: MachineRef,
): Promise<ComputeProgress> {
  const found: ArmResource[] = [];
  for await (const resource of listTagged(arm, settings, `tagName eq '${jobTag}' and tagValue eq '${jobId}'`))
    found.push(resource);
  for (const stage of deletionStages) {
    const due = found.filter(({ type }) => stage.some((each) => each.toLowerCase() === type.toLowerCase()));
    const outcomes = await Promise.all(
      due.map(({ id, type }) => arm.delete(id, apiVersions.get(type.toLowerCase()) ?? resourcesApiVersion)),
    );
    if (outcomes.some(({ state }) => state === 'running'))
      return waiting(due.map(({ type, name }) => `${type} ${name} to be deleted`).join(', '));
  }
  return computeDone;
}
