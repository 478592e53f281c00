// A source host without any of our code: HTTP for the service, the plain storage SDK for bytes.
import { AnonymousCredential, BlobServiceClient, PageBlobClient } from '@azure/storage-blob';
import { randomUUID } from 'node:crypto';
import { independentLog } from '../support/independentHrl.ts';
import type { PlainWrite } from '../support/independentHrl.ts';
import { eventually } from '../support/protectedVm.ts';

export interface Service {
  url: string;
  adminKey: string;
  vaultPath: string;
  storageConnectionString: string;
}

interface DiskAssignment {
  disk: string;
  initialReplication: { blobName: string; blobSizeBytes: number; uploadUrl: string };
  delta: { blobName: string; uploadUrl: string };
}

interface Assignment {
  item: string;
  phase: string;
  nextCycle: number;
  disks: DiskAssignment[];
}

export interface Point {
  name: string;
  properties: {
    recoveryPointTime: string;
    recoveryPointType: string;
    providerSpecificDetails: {
      cycle: number;
      traceId: string | null;
      multiVmMoment: string | null;
      disks: { diskId: string; blobName: string; snapshotId: string }[];
    };
  };
}

const pageBytes = 4 * 2 ** 20;

export class SourceHost {
  readonly service: Service;
  readonly storage: BlobServiceClient;
  /** Of every request to the service, besides the key. */
  headers: Readonly<Record<string, string>> = {};
  readonly #logIds = new Map<string, string>();

  constructor(service: Service) {
    this.service = service;
    this.storage = BlobServiceClient.fromConnectionString(service.storageConnectionString);
  }

  async call(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; headers: Headers; body: never }> {
    const response = await fetch(path.startsWith('http') ? path : this.service.url + path, {
      method,
      headers: {
        ...{ authorization: `Bearer ${this.service.adminKey}`, 'content-type': 'application/json' },
        ...this.headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: (text === '' ? undefined : JSON.parse(text)) as never,
    };
  }

  /** Site, policy, mapping, inventory and the PUT; waits until the source may upload. Returns the item's path. */
  async protect(item: string, diskSizes: Record<string, number>): Promise<string> {
    const { vaultPath } = this.service;
    const site = `${vaultPath}/replicationFabrics/site1`;
    await this.call('PUT', site, {});
    await this.call('PUT', `${vaultPath}/replicationPolicies/gold`, {});
    const containers = await this.call('GET', `${site}/replicationProtectionContainers`);
    const container = (containers.body as { value: { id: string }[] }).value[0]!.id;
    const policyId = `${vaultPath}/replicationPolicies/gold`;
    await this.call('PUT', `${container}/replicationProtectionContainerMappings/map`, {
      properties: { policyId },
    });
    const disks = Object.entries(diskSizes).map(([id, sizeBytes]) => ({ id, sizeBytes }));
    await this.call('PUT', '/agent/v1/sites/site1/inventory', {
      host: { name: 'hv1' },
      machines: [{ id: item, name: item, disks }],
    });
    const path = `${container}/replicationProtectedItems/${item}`;
    const protectableItemId = `${container}/replicationProtectableItems/${item}`;
    const put = await this.call('PUT', path, {
      properties: { policyId, protectableItemId, providerSpecificDetails: {} },
    });
    if (put.status !== 202) throw new Error(`PUT answered ${put.status}: ${JSON.stringify(put.body)}`);
    const status = put.headers.get('azure-asyncoperation') ?? '';
    await eventually('the operation succeeds', async () => {
      const { body } = await this.call('GET', status);
      const word = (body as { status: string }).status;
      if (word === 'Failed') throw new Error(JSON.stringify(body));
      return word === 'Succeeded' ? true : undefined;
    });
    return path;
  }

  async assignment(item: string): Promise<Assignment> {
    const { body } = await this.call('GET', '/agent/v1/assignments');
    const found = (body as { value: Assignment[] }).value.find((each) => each.item === item);
    if (!found) throw new Error(`no assignment for ${item}`);
    return found;
  }

  /** Initial replication of every disk through its upload URL. */
  async replicate(item: string, disks: Record<string, Uint8Array>): Promise<void> {
    const assignment = await this.assignment(item);
    if (assignment.phase !== 'initialReplication') throw new Error(`${item} is in phase ${assignment.phase}`);
    for (const { disk, initialReplication } of assignment.disks) {
      const bytes = disks[disk]!;
      const blob = new PageBlobClient(initialReplication.uploadUrl, new AnonymousCredential());
      for (let offset = 0; offset < bytes.length; offset += pageBytes) {
        const part = bytes.subarray(offset, offset + pageBytes);
        await blob.uploadPages(part, offset, part.length);
      }
      await this.call('POST', `/agent/v1/items/${item}/disks/${disk}/initialReplication/complete`);
    }
  }

  /** A log of these writes that follows the disk's last one. */
  cutLog(item: string, disk: string, writes: readonly PlainWrite[]): Buffer {
    const key = `${item}/${disk}`;
    const id = randomUUID();
    const log = independentLog(writes, id, this.#logIds.get(key));
    this.#logIds.set(key, id);
    return log;
  }

  /** Goes on where another source host was: it knows the disks' last logs. */
  takeOver(other: SourceHost): void {
    for (const [key, id] of other.#logIds) this.#logIds.set(key, id);
  }

  /** The next log of the disk follows this one, which somebody else cut. */
  continueFrom(item: string, disk: string, logId: string): void {
    this.#logIds.set(`${item}/${disk}`, logId);
  }

  /** A plain Put Blob with the account's key. */
  async putLog(name: string, log: Buffer, metadata: Record<string, string> = {}): Promise<void> {
    await this.storage
      .getContainerClient('deltas')
      .getBlockBlobClient(name)
      .upload(log, log.length, { metadata });
  }

  /** Recovery points, oldest first. */
  async points(itemPath: string): Promise<Point[]> {
    const { body } = await this.call('GET', `${itemPath}/recoveryPoints`);
    return (body as { value: Point[] }).value.reverse();
  }

  /** Waits until there are that many recovery points. */
  async awaitPoints(itemPath: string, count: number, seconds = 60): Promise<Point[]> {
    return eventually(
      `${count} recovery points`,
      async () => {
        const points = await this.points(itemPath);
        return points.length >= count ? points : undefined;
      },
      seconds,
    );
  }

  /** The first bytes of a disk as a recovery point holds it. */
  async recover(point: Point, disk: string, sizeBytes: number): Promise<Buffer> {
    const { blobName, snapshotId } = point.properties.providerSpecificDetails.disks.find(
      ({ diskId }) => diskId === disk,
    )!;
    const snapshot = this.storage
      .getContainerClient('replicas')
      .getPageBlobClient(blobName)
      .withSnapshot(snapshotId);
    return snapshot.downloadToBuffer(0, sizeBytes);
  }
}
