// The disks of a machine in Azure, frozen: an incremental snapshot of each managed disk, read through a signed URL that is
// granted for as long as somebody reads, and taken back at once. Of two snapshots of a disk the service tells which pages
// differ; where it does not, everything is compared.
import type { ArmClient, ArmResource } from '../../azure/arm.ts';
import { LifeboatError, isLifeboatError } from '../../errors.ts';
import type { ByteRange } from '../../storage/ports.ts';
import { resourceTypes, snapshotResource } from '../machineResources.ts';
import { snapshotName } from '../machineNames.ts';
import {
  computeDone,
  type ComputeProgress,
  type DiskFreezing,
  type FreezeRef,
  type FrozenDisk,
} from '../port.ts';
import { ensure, resourceId, waiting } from './resources.ts';

/** A disk behind a signed URL, which nobody sees but whoever opened it. */
export interface ExportedDisk {
  /** With the footer. */
  sizeBytes: number;
  listRanges(window: ByteRange): Promise<ByteRange[]>;
  /** Undefined when the service does not compare these two. */
  listChanges(window: ByteRange, earlier: ExportedDisk): Promise<ByteRange[] | undefined>;
  read(range: ByteRange): Promise<Uint8Array>;
}

/** Throws `ComputeUnavailable` when the URL does not work (yet, or any more), `ComputeDenied`, `ComputeFailed`. */
export type OpenExportedDisk = (url: string) => Promise<ExportedDisk>;

interface Services {
  arm: ArmClient;
  openExportedDisk: OpenExportedDisk;
}

const { apiVersion } = resourceTypes.snapshot;
const footerBytes = 512;
/** Longer than any slice of reading: what a dead process leaves ends by itself. */
const accessSeconds = 3600;

export function azureFreezing(services: Services, { location }: { location: string }): DiskFreezing {
  const { arm } = services;
  return {
    async freeze(ref) {
      let progress = computeDone;
      for (const disk of ref.order.disks) {
        const of = {
          location,
          resourceId: (type: string, name: string) => resourceId(ref.order, type, name),
        };
        const resource = snapshotResource(ref, disk, of);
        const made = await ensure(arm, ref, resource);
        const one = made.isDone
          ? await copied(arm, resourceId(ref.order, resource.type, resource.name))
          : made;
        if (!one.isDone) progress = one;
      }
      return progress;
    },
    withFrozenDisks: (ref, disks, work) => withFrozenDisks(services, ref, disks, work),
  };
}

/** Snapshots of some kinds of disks are filled in the background, and cannot be read before. */
async function copied(arm: ArmClient, id: string): Promise<ComputeProgress> {
  const percent = (await arm.find(id, apiVersion))?.properties?.['completionPercent'];
  if (typeof percent !== 'number' || percent >= 100) return computeDone;
  return waiting(`snapshot ${id.split('/').at(-1) ?? ''}, ${percent} % copied`);
}

async function withFrozenDisks<T>(
  services: Services,
  ref: FreezeRef,
  disks: readonly string[],
  work: (frozen: ReadonlyMap<string, FrozenDisk>) => Promise<T>,
): Promise<T> {
  const granted: string[] = [];
  try {
    const frozen = new Map<string, FrozenDisk>();
    for (const disk of ref.order.disks.filter((each) => disks.includes(each.disk))) {
      const id = resourceId(ref.order, resourceTypes.snapshot.type, snapshotName(ref, disk));
      granted.push(id);
      frozen.set(disk.disk, frozenDisk(await services.openExportedDisk(await grant(services.arm, id))));
    }
    return await work(frozen);
  } finally {
    // What cannot be taken back now ends with its time, and before the snapshot is deleted.
    for (const id of granted) await endAccess(services.arm, id).catch(() => undefined);
  }
}

/** A URL that reads the snapshot. One that was granted before, and lost, is taken back first. */
async function grant(arm: ArmClient, id: string): Promise<string> {
  const body = { access: 'Read', durationInSeconds: accessSeconds };
  const ask = () => arm.post<{ accessSAS?: string }>(`${id}/beginGetAccess`, apiVersion, body);
  const outcome = await ask().catch(async (error: unknown) => {
    if (!isLifeboatError(error, 'ComputeFailed')) throw error;
    await endAccess(arm, id);
    return ask();
  });
  const url = outcome.state === 'done' ? outcome.body?.accessSAS : undefined;
  if (url !== undefined) return url;
  throw new LifeboatError('ComputeUnavailable', `Access to ${id} is being granted.`);
}

async function endAccess(arm: ArmClient, id: string): Promise<ComputeProgress> {
  const outcome = await arm.post(`${id}/endGetAccess`, apiVersion);
  return outcome.state === 'done' ? computeDone : waiting(`access to ${id.split('/').at(-1) ?? ''} to end`);
}

/** Takes back whatever access to these snapshots is left. A snapshot that can be read cannot be deleted. */
export async function endAllAccess(
  arm: ArmClient,
  snapshots: readonly Pick<ArmResource, 'id'>[],
): Promise<ComputeProgress> {
  for (const { id } of snapshots) {
    const found = await arm.find(id, apiVersion);
    const state = found?.properties?.['diskState'];
    if (!found || (state !== undefined && state !== 'ActiveSAS')) continue;
    const progress = await endAccess(arm, id);
    if (!progress.isDone) return progress;
  }
  return computeDone;
}

const exportedOf = new WeakMap<FrozenDisk, ExportedDisk>();

function frozenDisk(exported: ExportedDisk): FrozenDisk {
  const frozen: FrozenDisk = {
    sizeBytes: exported.sizeBytes - footerBytes,
    listRanges: (window) => exported.listRanges(window),
    read: (range) => exported.read(range),
    listChanges: async (window, earlier) => {
      const before = exportedOf.get(earlier);
      return before && exported.listChanges(window, before);
    },
  };
  exportedOf.set(frozen, exported);
  return frozen;
}
