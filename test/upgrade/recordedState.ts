// A recorded account, put into a storage as it was: rows, logs, replicas with their snapshots. Snapshots get new ids where they
// are made anew, so the ids in the rows are replaced.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RowWrite, Storage } from '../../lib/storage/ports.ts';

interface RecordedBlob {
  name: string;
  metadata: Record<string, string>;
  bytes: string;
}

interface RecordedPages {
  offsetBytes: number;
  bytes: string;
}

interface RecordedReplica {
  name: string;
  sizeBytes: number;
  sequenceNumber: number;
  isLeased: boolean;
  snapshots: { id: string; metadata: Record<string, string>; pages: RecordedPages[] }[];
  pages: RecordedPages[];
}

export interface RecordedState {
  tables: Record<'items' | 'jobs' | 'inventory' | 'vault', Record<string, Record<string, unknown>>>;
  deltas: RecordedBlob[];
  quarantine: RecordedBlob[];
  replicas: RecordedReplica[];
  /** A log that arrives after the upgrade. */
  late: Pick<RecordedBlob, 'name' | 'bytes'>;
  /** SHA-256 of each disk of the source after each cycle. */
  expected: Record<string, Record<string, string>>;
}

export function readState(version: string): RecordedState {
  const file = join(import.meta.dirname, '..', 'fixtures', `state-${version}`, 'state.json');
  return JSON.parse(readFileSync(file, 'utf8')) as RecordedState;
}

async function restoreReplica(
  storage: Storage,
  replica: RecordedReplica,
  ids: Map<string, string>,
): Promise<void> {
  const { replicas } = storage;
  const { name, sizeBytes } = replica;
  await replicas.create(name, sizeBytes);
  const write = async (pages: RecordedPages[]) => {
    await replicas.clearPages(name, { offsetBytes: 0, lengthBytes: sizeBytes });
    for (const { offsetBytes, bytes } of pages)
      await replicas.writePages(name, offsetBytes, Buffer.from(bytes, 'base64'));
  };
  for (const { id, metadata, pages } of replica.snapshots) {
    await write(pages);
    ids.set(id, await replicas.snapshot(name, metadata));
  }
  await write(replica.pages);
}

/** The replica's lease as its item's row names it, and its sequence number. */
async function restoreLease(storage: Storage, replica: RecordedReplica, state: RecordedState): Promise<void> {
  if (!replica.isLeased) return;
  const [item = '', file = ''] = replica.name.split('/');
  const row = state.tables.items[item]?.['item'] as { disks: { disk: string; leaseId: string }[] };
  const leaseId = row.disks.find(({ disk }) => `${disk}.vhd` === file)?.leaseId ?? '';
  await storage.replicas.holdLease(replica.name, leaseId);
  for (let number = 0; number < replica.sequenceNumber; number++)
    await storage.replicas.raiseSequenceNumber(replica.name, leaseId);
}

/** Fills an empty storage. */
export async function restoreState(storage: Storage, state: RecordedState): Promise<void> {
  const ids = new Map<string, string>();
  for (const replica of state.replicas) {
    await restoreReplica(storage, replica, ids);
    await restoreLease(storage, replica, state);
  }
  const withNewIds = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value), (_name, field: unknown) =>
      typeof field === 'string' ? (ids.get(field) ?? field) : field,
    );
  for (const table of ['items', 'jobs', 'inventory', 'vault'] as const)
    for (const [partition, rows] of Object.entries(state.tables[table]))
      for (const [key, value] of Object.entries(rows)) {
        const write: RowWrite = { kind: 'insert', key, value: withNewIds(value) };
        await storage[table].transact(partition, [write]);
      }
  for (const container of ['deltas', 'quarantine'] as const)
    for (const { name, bytes, metadata } of state[container])
      await storage[container].put(name, Buffer.from(bytes, 'base64'), metadata);
}
