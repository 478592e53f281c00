// A protected machine for tests: model disks as byte arrays, random writes as logs, and the question that matters:
// does each recovery point equal the disks as they were at that cycle?
import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { buildHrl } from '../../lib/hrl/writer.ts';
import type { HrlWrite } from '../../lib/hrl/writer.ts';
import { vhdProvider } from '../../lib/compute/vhd/provider.ts';
import type { FaultPoint } from '../../lib/faults/points.ts';
import { noFaults } from '../../lib/faults/points.ts';
import { stableGuid } from '../../lib/ids.ts';
import { itemRecord } from '../../lib/protection/item.ts';
import type { ItemRecord, RecoveryPointRecord } from '../../lib/protection/item.ts';
import { getItem, insertItem, listRecoveryPoints, updateItem } from '../../lib/protection/itemStore.ts';
import { transition } from '../../lib/protection/states.ts';
import type { ReplicationContext } from '../../lib/replication/context.ts';
import { formatDeltaName, replicaName } from '../../lib/replication/names.ts';
import { completeInitialReplication, createReplicas } from '../../lib/replication/replicas.ts';
import type { CopyStatement } from '../../lib/replication/replicas.ts';
import { memoryStorage } from '../../lib/storage/memory/index.ts';
import type { Storage } from '../../lib/storage/ports.ts';
import { paddedSizeBytes, parseVhdFooter } from '../../lib/vhd/fixed.ts';

const sectorBytes = 512;
export const logTime = new Date('2026-01-01T00:00:00Z');

/** A small deterministic random source, so that a failing test can be repeated. */
export function randomSource(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

export function testContext(
  storage: Storage = memoryStorage(),
  fault: FaultPoint = noFaults,
): ReplicationContext {
  let ids = 0;
  return {
    storage,
    clock: { now: () => new Date() },
    newId: () => stableGuid('test', process.pid, Math.random(), ids++),
    fault,
    compute: vhdProvider(storage),
    log: () => undefined,
  };
}

export interface VmOptions {
  item?: string;
  /** Size of each disk; ids are disk0, disk1, … */
  diskSizes?: number[];
  /** Of one write of a cycle. Default 64. */
  longestWriteSectors?: number;
  seed?: number;
  storage?: Storage;
}

export interface CycleLog {
  name: string;
  bytes: Uint8Array;
  metadata: Record<string, string>;
}

export class ProtectedVm {
  readonly item: string;
  readonly storage: Storage;
  readonly context: ReplicationContext;
  /** The source's disks now. */
  readonly disks: Uint8Array[];
  /** Copies of all disks as they were when each cycle's logs were cut; index = cycle, 0 = after the initial copy. */
  readonly history: Uint8Array[][] = [];
  readonly random: (below: number) => number;
  readonly #logIds: string[] = [];
  readonly #longestWriteSectors: number;

  constructor({
    item = 'vm-1',
    diskSizes = [1024 * 1024, 300 * sectorBytes],
    longestWriteSectors = 64,
    seed = 1,
    storage,
  }: VmOptions = {}) {
    this.#longestWriteSectors = longestWriteSectors;
    this.item = item;
    this.random = randomSource(seed);
    this.storage = storage ?? memoryStorage();
    this.context = testContext(this.storage);
    this.disks = diskSizes.map((size) => {
      const disk = new Uint8Array(size);
      for (let offset = 0; offset < size; offset += 4096) disk[offset] = this.random(256);
      return disk;
    });
  }

  static diskId = (index: number): string => `disk${index}`;

  /** Rows as after the orchestration's first steps: the source may upload. */
  async startInitialReplication(): Promise<void> {
    const record = itemRecord.parse({
      ...{
        item: this.item,
        name: this.item,
        fabric: 'site',
        container: 'cloud',
        machine: this.item,
        machineName: 'VM',
      },
      ...{ policy: 'policy', providerInput: {}, state: 'EnablingProtection', currentJob: 'job-1' },
      createdAt: '2026-01-01T00:00:00.000Z',
      disks: this.disks.map((bytes, index) => ({
        ...{
          disk: ProtectedVm.diskId(index),
          name: `Disk ${index}`,
          type: 'DataDisk' as const,
          sizeBytes: bytes.length,
        },
        ...{ leaseId: null, arrivedAt: null, copyOf: null, fence: 0, lastLogId: null },
      })),
      ...{ consistentFromCycle: 1, appliedCycle: 0, applying: null, healthErrors: [] },
    });
    await insertItem(this.storage, record);
    await createReplicas(this.context, record);
    await updateItem(this.storage.items, this.item, (current) => ({
      ...current,
      state: transition(current.state, 'initialReplicationStarted'),
    }));
  }

  /** Writes the disks' bytes as a client with an upload URL would. */
  async uploadCopies(): Promise<void> {
    for (const [index, bytes] of this.disks.entries()) {
      const name = replicaName(this.item, ProtectedVm.diskId(index));
      for (let offset = 0; offset < bytes.length; offset += 2 ** 20) {
        await this.storage.replicas.writePages(name, offset, bytes.slice(offset, offset + 2 ** 20));
      }
    }
    this.#remember(0);
  }

  async complete(statement: CopyStatement = {}): Promise<void> {
    for (const index of this.disks.keys()) {
      await completeInitialReplication(this.context, this.item, ProtectedVm.diskId(index), statement);
    }
  }

  /** Protected, with nothing applied. */
  async protect(statement: CopyStatement = {}): Promise<this> {
    await this.startInitialReplication();
    await this.uploadCopies();
    await this.complete(statement);
    return this;
  }

  #remember(cycle: number): void {
    this.history[cycle] = this.disks.map((bytes) => bytes.slice());
  }

  #randomWrite(disk: Uint8Array): HrlWrite {
    const sectors = disk.length / sectorBytes;
    const first = this.random(sectors);
    const count = 1 + this.random(Math.min(this.#longestWriteSectors, sectors - first));
    const data = new Uint8Array(count * sectorBytes);
    // Some writes are of zeros: they must read as zeros, not be skipped.
    if (this.random(4) > 0) data.fill(1 + this.random(255));
    return { diskOffset: first * sectorBytes, data };
  }

  /** Changes every disk, by that many random writes or by the given ones, and returns the logs of the next cycle; nothing is uploaded. */
  cutCycle(changes: number | readonly (readonly HrlWrite[])[] = 12): CycleLog[] {
    const cycle = this.history.length;
    const logs = this.disks.map((disk, index): CycleLog => {
      const uniqueId = stableGuid(this.item, cycle, index);
      const writes =
        typeof changes === 'number'
          ? Array.from({ length: changes }, () => this.#randomWrite(disk))
          : (changes[index] ?? []);
      for (const { diskOffset, data } of writes) disk.set(data, diskOffset);
      const previousUniqueId = this.#logIds[index];
      const bytes = buildHrl(writes, {
        uniqueId,
        createdAt: logTime,
        ...(previousUniqueId ? { previousUniqueId } : {}),
      });
      this.#logIds[index] = uniqueId;
      return {
        name: formatDeltaName({ item: this.item, cycle, disk: ProtectedVm.diskId(index) }),
        bytes,
        metadata: {
          sha256: createHash('sha256').update(bytes).digest('hex'),
          takenat: new Date(Date.UTC(2026, 0, 1, 0, cycle)).toISOString(),
        },
      };
    });
    this.#remember(cycle);
    return logs;
  }

  async upload(...logs: readonly CycleLog[]): Promise<void> {
    for (const { name, bytes, metadata } of logs) await this.storage.deltas.put(name, bytes, metadata);
  }

  async record(): Promise<ItemRecord> {
    return await getItem(this.storage.items, this.item);
  }

  async points(): Promise<RecoveryPointRecord[]> {
    const points: RecoveryPointRecord[] = [];
    for await (const point of listRecoveryPoints(this.storage.items, this.item)) points.push(point);
    return points;
  }

  /** What a recovery point holds that it should not: empty when every disk equals the source at that cycle. */
  async differences(point: RecoveryPointRecord): Promise<string[]> {
    const found: string[] = [];
    const expected = this.history[point.cycle] ?? [];
    for (const [index, bytes] of expected.entries()) {
      const disk = ProtectedVm.diskId(index);
      const snapshotId = point.disks.find((each) => each.disk === disk)?.snapshotId;
      const padded = paddedSizeBytes(bytes.length);
      const blob = await this.storage.replicas.read(
        replicaName(this.item, disk),
        { offsetBytes: 0, lengthBytes: padded + 512 },
        snapshotId,
      );
      if (!Buffer.from(blob.subarray(0, bytes.length)).equals(bytes))
        found.push(`cycle ${point.cycle} ${disk}: other bytes`);
      if (blob.subarray(bytes.length, padded).some((byte) => byte !== 0))
        found.push(`${disk}: padding is not zero`);
      parseVhdFooter(blob.subarray(padded));
    }
    return found;
  }

  /** Cycles of all recovery points, after checking the bytes of each. */
  async verifiedCycles(): Promise<number[]> {
    const points = await this.points();
    const differences = (await Promise.all(points.map((point) => this.differences(point)))).flat();
    if (differences.length > 0) throw new Error(differences.join('\n'));
    return points.map(({ cycle }) => cycle);
  }

  async pendingNames(): Promise<string[]> {
    const names: string[] = [];
    for await (const { name } of this.storage.deltas.list('')) names.push(name);
    return names;
  }
}

/** Repeats `look` until it returns something, for at most `seconds`. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined>,
  seconds = 60,
): Promise<T> {
  for (let waited = 0; waited < seconds * 10; waited++) {
    const found = await look();
    if (found !== undefined) return found;
    await pause(100);
  }
  throw new Error(`did not happen within ${seconds} s: ${what}`);
}
