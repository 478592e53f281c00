// The trace of a cycle: one for all its logs, kept with the cycle, so that a process that takes over sends the same.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { pendingOf } from '../../../agent/daemon/cutCycle.ts';
import type { ItemContext } from '../../../agent/daemon/itemContext.ts';
import { ItemStateFile, type PendingLog } from '../../../agent/daemon/itemState.ts';
import { shipPending } from '../../../agent/daemon/shipCycle.ts';
import { Spool } from '../../../agent/daemon/spool.ts';
import { fileSha256 } from '../../../agent/deltaLog.ts';
import type { Assignment, DiskAssignment } from '../../../agent/serviceClient.ts';
import type { FrozenCycle } from '../../../agent/track/tracker.ts';
import { BandwidthLimiter } from '../../../agent/upload/bandwidth.ts';
import { logMetadata } from '../../../agent/upload/logStatement.ts';
import { buildHrl } from '../../../lib/hrl/writer.ts';
import { azureStorage } from '../../../lib/storage/azure/index.ts';
import { startAzurite, type RunningAzurite } from '../../support/azurite.ts';

const item = 'vm-1';
const disks = ['os', 'data'];
const takenAt = new Date('2026-01-02T03:04:05.678Z');
let azurite: RunningAzurite;
let storage: ReturnType<typeof azureStorage>;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cycle-trace-'));
  azurite = await startAzurite();
  storage = azureStorage({ connectionString: azurite.connectionString });
  await storage.ensureContainers();
});
afterAll(async () => {
  await azurite.stop();
  await rm(folder, { recursive: true });
});

async function assignmentOf(nextCycle: number): Promise<Assignment> {
  const inAnHour = new Date(Date.now() + 3_600_000);
  const assigned = disks.map(async (disk): Promise<DiskAssignment> => {
    const blobName = `${item}/${String(nextCycle).padStart(12, '0')}/${disk}.hrl`;
    const url = await storage.signer.deltaWriteUrl(blobName, inAnHour);
    const delta = { blobName, isUploaded: false, previousUniqueId: null, metadata: { kind: 'delta' } };
    return {
      ...{ disk, name: disk, sizeBytes: 1_048_576, joinedAtCycle: 0 },
      initialReplication: { state: 'complete', blobName: '', blobSizeBytes: 0, isQueued: false },
      delta: { ...delta, uploadUrl: url, blocksUrl: url, expiresAt: inAnHour.toISOString() },
    };
  });
  const about = {
    item,
    site: 'site1',
    machine: item,
    machineName: item,
    phase: 'deltas',
    replicationHealth: 'Normal',
  };
  return {
    ...about,
    appliedCycle: nextCycle - 1,
    nextCycle,
    snapshot: 'none',
    disks: await Promise.all(assigned),
  };
}

/** The item as a process that has just started finds it. */
async function contextOf(): Promise<ItemContext> {
  return {
    item,
    state: await ItemStateFile.open(folder, item),
    spool: new Spool(join(folder, 'spool'), 1e9),
    limiter: new BandwidthLimiter(),
    open: undefined,
    signal: new AbortController().signal,
    log: () => undefined,
    report: () => undefined,
  } as unknown as ItemContext;
}

async function cut(context: ItemContext, assignment: Assignment): Promise<void> {
  await mkdir(context.spool.folder, { recursive: true });
  const logs: PendingLog[] = [];
  for (const disk of disks) {
    const path = context.spool.pathOf(item, assignment.nextCycle ?? 0, disk);
    const uniqueId = crypto.randomUUID();
    const bytes = buildHrl([{ diskOffset: 0, data: Buffer.alloc(512, disk) }], {
      uniqueId,
      createdAt: takenAt,
    });
    await writeFile(path, bytes);
    logs.push({ disk, path, sizeBytes: bytes.length, sha256: await fileSha256(path), uniqueId });
  }
  const frozen = { reference: 'r', takenAt, consistency: 'crash' } as FrozenCycle;
  await context.state.update({ pending: pendingOf(frozen, assignment, logs) });
}

const storedLogs = async (cycle: number) =>
  Promise.all(
    disks.map(
      async (disk) => (await storage.deltas.find(`${item}/${String(cycle).padStart(12, '0')}/${disk}.hrl`))!,
    ),
  );
const metadataOf = async (cycle: number) => (await storedLogs(cycle)).map(({ metadata }) => metadata);

it('is the same in all logs of a cycle, also when a new process sends them again, and another in the next cycle', async () => {
  const traces: (string | undefined)[] = [];
  for (const number of [1, 2]) {
    const assignment = await assignmentOf(number);
    const first = await contextOf();
    await cut(first, assignment);
    const { traceparent, logs } = first.state.current.pending!;
    expect(traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    traces.push(traceparent);
    const expected = logs.map(({ sha256 }) => ({
      ...{ sha256, takenat: takenAt.toISOString(), consistency: 'crash', kind: 'delta', traceparent },
    }));
    expect(await shipPending(first, assignment)).toBe('sent');
    expect(await metadataOf(number)).toEqual(expected);
    for (const { name, etag } of await storedLogs(number)) await storage.deltas.delete(name, etag);
    // The process dies, and another one goes on with what lies on the disk.
    expect(await shipPending(await contextOf(), assignment)).toBe('sent');
    expect(await metadataOf(number)).toEqual(expected);
  }
  expect(new Set(traces).size).toBe(2);
});

it('is left out of what an earlier version cut', () => {
  expect(logMetadata({ sha256: 'a', kind: 'resync' })).toEqual({ sha256: 'a', kind: 'resync' });
});
