// Recovered machines in Azure: managed disks imported from the recovered blobs, network interfaces, a virtual machine.
// Each call looks at every resource and puts those that are missing, so nothing has to be remembered between calls; what
// belongs to a job is known by its tags.
import type { ArmClient, ArmResource } from '../../azure/arm.ts';
import { LifeboatError } from '../../errors.ts';
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
import { azureFreezing, endAllAccess, type OpenExportedDisk } from './frozenDisks.ts';
import { ensure, resourceId, waiting } from './resources.ts';

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
  /** Opens a disk that Azure exported under a URL; without other credentials. */
  openExportedDisk: OpenExportedDisk;
}

const resourcesApiVersion = '2021-04-01';
const consoleLimitBytes = 64 * 1024;

/** What is deleted at once; a later stage can go only when the earlier ones are gone. */
const deletionStages: readonly (readonly string[])[] = [
  [resourceTypes.machine.type],
  [resourceTypes.nic.type, resourceTypes.disk.type, resourceTypes.snapshot.type],
  [resourceTypes.securityGroup.type],
];
const apiVersions: ReadonlyMap<string, string> = new Map(
  Object.values(resourceTypes).map(({ type, apiVersion }) => [type.toLowerCase(), apiVersion]),
);

const sameType = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

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
        const progress = await ensure(arm, { order, jobId: order.jobId }, resource);
        if (!progress.isDone) return progress;
      }
      return computeDone;
    },
    powerState: async (order) => {
      const state = await powerState(arm, `${machineId(order)}/instanceView`);
      return state === 'stopping' ? 'running' : state;
    },
    async startMachine(order) {
      const state = await powerState(arm, `${machineId(order)}/instanceView`);
      if (state === 'running' || state === 'starting') return computeDone;
      const outcome = await arm.post(`${machineId(order)}/start`, machineVersion);
      return outcome.state === 'done' ? computeDone : waiting(`${machineName(order)} to start`);
    },
    async stopMachine(order) {
      const state = await powerState(arm, `${machineId(order)}/instanceView`);
      if (state === 'absent' || state === 'stopped') return computeDone;
      if (state === 'stopping') return waiting(`${machineName(order)} to stop`);
      const outcome = await arm.post(`${machineId(order)}/deallocate`, machineVersion);
      return outcome.state === 'done' ? computeDone : waiting(`${machineName(order)} to stop`);
    },
    // The blobs are what the disks were imported from: nothing comes back into them (`freezing`).
    captureDisks: async () => computeDone,
    freezing: azureFreezing(services, settings),
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

async function ensureAll(
  arm: ArmClient,
  order: MachineOrder,
  resources: readonly AzureResource[],
): Promise<ComputeProgress> {
  const all = await Promise.allSettled(
    resources.map((resource) => ensure(arm, { order, jobId: order.jobId }, resource)),
  );
  // Every request has ended by now: none lands behind the back of whoever hears of the failure.
  const progress = all.map((each) => {
    if (each.status === 'rejected') throw each.reason;
    return each.value;
  });
  return progress.find(({ isDone }) => !isDone) ?? computeDone;
}

/** `stopping`: the guest may still write. */
async function powerState(
  arm: ArmClient,
  instanceViewId: string,
): Promise<'absent' | 'stopped' | 'stopping' | 'starting' | 'running' | 'unknown'> {
  const view = await arm.find(instanceViewId, resourceTypes.machine.apiVersion);
  if (!view) return 'absent';
  const { statuses = [] } = view as { statuses?: readonly { code?: string }[] };
  const code = statuses
    .find((each) => each.code?.startsWith('PowerState/'))
    ?.code?.slice('PowerState/'.length);
  if (code === 'running') return 'running';
  if (code === 'starting') return 'starting';
  if (code === 'stopping' || code === 'deallocating') return 'stopping';
  return code === 'stopped' || code === 'deallocated' ? 'stopped' : 'unknown';
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
  const snapshots = found.filter(({ type }) => sameType(type, resourceTypes.snapshot.type));
  const revoked = await endAllAccess(arm, snapshots);
  if (!revoked.isDone) return revoked;
  for (const stage of deletionStages) {
    const due = found.filter(({ type }) => stage.some((each) => sameType(each, type)));
    const outcomes = await Promise.all(
      due.map(({ id, type }) => arm.delete(id, apiVersions.get(type.toLowerCase()) ?? resourcesApiVersion)),
    );
    if (outcomes.some(({ state }) => state === 'running'))
      return waiting(due.map(({ type, name }) => `${type} ${name} to be deleted`).join(', '));
  }
  return computeDone;
}
