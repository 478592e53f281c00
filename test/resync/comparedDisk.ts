// A source disk and its replica, both sparse and in memory, of any size; and the way of a resynchronization from the
// digests over the log to the merge, on the real code.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareDisk, type CompareOptions, type DiskComparison } from '../../agent/resync/compareDisk.ts';
import { JournalFile } from '../../agent/resync/comparisonJournal.ts';
import type { DigestsClient } from '../../agent/resync/segmentDifference.ts';
import type { SourceView } from '../../agent/resync/sourceView.ts';
import { joinExtents } from '../../agent/extents.ts';
import { openFileSource } from '../../agent/fileSource.ts';
import { noFaults } from '../../lib/faults/points.ts';
import { verifyHrl } from '../../lib/hrl/verify.ts';
import { applyMerge } from '../../lib/merge/apply.ts';
import { planMerge } from '../../lib/merge/plan.ts';
import { replicaName } from '../../lib/replication/names.ts';
import {
  advanceDigestChain,
  isDigested,
  startDigestChain,
  viewOf,
  type DigestChainState,
} from '../../lib/resync/digestChain.ts';
import { findManifest } from '../../lib/resync/manifests.ts';
import type { DigestScope } from '../../lib/resync/names.ts';
import { fineDigests } from '../../lib/resync/replicaDigests.ts';
import { memoryStorage } from '../../lib/storage/memory/index.ts';
import type { ByteRange, PageBlobPort, Storage } from '../../lib/storage/ports.ts';
import { fixedVhdBlobSizeBytes } from '../../lib/vhd/fixed.ts';

export const scope: DigestScope = { item: 'vm-1', disk: 'os', generation: 'g-1' };
export const replica = replicaName(scope.item, scope.disk);
const sourceBlob = 'source';
export const day = new Date('2026-11-24T02:00:00Z');
export const never = new Date('2100-01-01T00:00:00Z');

/** Sectors of the disk that are filled with bytes made from `seed`; seed 0 = written zeros, negative = cleared. */
export interface DiskWrite {
  sector: number;
  sectors: number;
  seed: number;
}

/** Bytes without zeros that differ by place and seed. */
export function bytesOf({ sectors, seed }: DiskWrite): Uint8Array {
  const bytes = new Uint8Array(sectors * 512);
  if (seed === 0) return bytes;
  for (let at = 0; at < bytes.length; at += 4) bytes[at] = 1 + ((seed * 31 + (at >> 9) * 7 + at) % 255);
  return bytes;
}

async function writeDisk(port: PageBlobPort, blob: string, write: DiskWrite): Promise<void> {
  const range = { offsetBytes: write.sector * 512, lengthBytes: write.sectors * 512 };
  if (write.seed < 0) await port.clearPages(blob, range);
  else await port.writePages(blob, range.offsetBytes, bytesOf(write));
}

/** One disk on both sides. */
export class ComparedDisk {
  readonly diskSizeBytes: number;
  readonly storage: Storage;
  /** Keeps the source alone. */
  readonly #sourceSide = memoryStorage().replicas;

  private constructor(diskSizeBytes: number, storage: Storage) {
    this.diskSizeBytes = diskSizeBytes;
    this.storage = storage;
  }

  /** Two disks of zeros. The replica is a VHD: after the disk's end it has bytes that must never be compared. */
  static async create(diskSizeBytes: number, storage: Storage = memoryStorage()): Promise<ComparedDisk> {
    const disk = new ComparedDisk(diskSizeBytes, storage);
    const blobBytes = fixedVhdBlobSizeBytes(diskSizeBytes);
    await disk.#sourceSide.create(sourceBlob, diskSizeBytes);
    await storage.replicas.create(replica, blobBytes);
    await storage.replicas.writePages(replica, blobBytes - 512, new Uint8Array(512).fill(0xcc));
    return disk;
  }

  async writeSource(...writes: DiskWrite[]): Promise<void> {
    for (const write of writes) await writeDisk(this.#sourceSide, sourceBlob, write);
  }

  async writeReplica(...writes: DiskWrite[]): Promise<void> {
    for (const write of writes) await writeDisk(this.storage.replicas, replica, write);
  }

  async writeBoth(...writes: DiskWrite[]): Promise<void> {
    await this.writeSource(...writes);
    await this.writeReplica(...writes);
  }

  /** The source as it is read. Notes what is read when `reads` is given. */
  view(options: { knowsHoles: boolean; reads?: ByteRange[] }): SourceView {
    const { knowsHoles, reads } = options;
    return {
      sizeBytes: this.diskSizeBytes,
      read: (offsetBytes, lengthBytes) => {
        reads?.push({ offsetBytes, lengthBytes });
        return this.#sourceSide.read(sourceBlob, { offsetBytes, lengthBytes });
      },
      ...(knowsHoles && {
        allocatedRanges: (window: ByteRange) => this.#sourceSide.listRanges(sourceBlob, window),
      }),
    };
  }

  /** Where the two differ, in 4 KiB blocks, found by looking at every byte that was ever written on either side. */
  async differingFineBlocks(): Promise<number[]> {
    const window = { offsetBytes: 0, lengthBytes: this.diskSizeBytes };
    const [ours, theirs] = await Promise.all([
      this.#sourceSide.listRanges(sourceBlob, window),
      this.storage.replicas.listRanges(replica, window),
    ]);
    const differing: number[] = [];
    for (const range of wholeFineBlocks([...ours, ...theirs], this.diskSizeBytes)) {
      const a = await this.#sourceSide.read(sourceBlob, range);
      const b = await this.storage.replicas.read(replica, range);
      for (let at = 0; at < range.lengthBytes; at += 4096) {
        if (Buffer.compare(a.subarray(at, at + 4096), b.subarray(at, at + 4096)) !== 0)
          differing.push((range.offsetBytes + at) / 4096);
      }
    }
    return differing;
  }

  start(): DigestChainState {
    return startDigestChain(scope, this.diskSizeBytes, { sequenceNumber: 0 }, day);
  }

  /** Digests the whole replica. */
  async digest(state: DigestChainState = this.start()): Promise<DigestChainState> {
    const context = { storage: this.storage, clock: { now: () => day }, fault: noFaults };
    let current = state;
    while (!isDigested(current)) current = await advanceDigestChain(context, current, { deadline: never });
    return current;
  }

  /** The service as the source sees it, without the wire. */
  client(state: DigestChainState = this.start()): DigestsClient {
    const { replicas, resync } = this.storage;
    return {
      coarseSegment: async (segment) => (await findManifest(resync, { scope, segment })) ?? 'pending',
      fine: (blocks) => fineDigests(replicas, scope, viewOf(state), blocks),
    };
  }

  /** Compares into a journal that is thrown away. */
  async compare(options: Partial<CompareOptions> & { view?: SourceView } = {}): Promise<DiskComparison> {
    const { view = this.view({ knowsHoles: true }), ...rest } = options;
    return inFolder(async (folder) => {
      await using journal = new JournalFile(join(folder, 'journal'));
      const defaults = { scope, sourceId: 'view-1', journal, pollDelayMs: 1 };
      return await compareDisk(view, this.client(), { ...defaults, ...rest });
    });
  }

  /** Merges a log into the replica as the service does. */
  async merge(logPath: string): Promise<void> {
    await using source = await openFileSource(logPath);
    const { log } = await verifyHrl(source, { diskSizeBytes: this.diskSizeBytes });
    const { replicas } = this.storage;
    await applyMerge({
      source,
      segments: planMerge(log.entries),
      target: {
        writePages: (offsetBytes, data) => replicas.writePages(replica, offsetBytes, data),
        clearPages: (range) => replicas.clearPages(replica, range),
      },
    });
  }
}

/** The ranges widened to 4 KiB blocks and joined, but not past the disk. */
function wholeFineBlocks(ranges: readonly ByteRange[], diskSizeBytes: number): ByteRange[] {
  const widened = ranges.map(({ offsetBytes, lengthBytes }) => {
    const start = Math.floor(offsetBytes / 4096) * 4096;
    const end = Math.min(Math.ceil((offsetBytes + lengthBytes) / 4096) * 4096, diskSizeBytes);
    return { offsetBytes: start, lengthBytes: end - start };
  });
  return joinExtents(widened);
}

/** Runs `work` with a folder of its own. */
export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'lifeboat-resync-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
