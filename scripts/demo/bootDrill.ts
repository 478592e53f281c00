// The end of the demo: a machine that boots is protected, changes, and is failed over in a test, twice. What it shows on its
// serial port was read from its disk, so the line says which recovery point was booted. Needs QEMU.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import * as z from 'zod';
import { uploadReplica } from '../../agent/upload/uploadReplica.ts';
import { buildHrl } from '../../lib/hrl/writer.ts';
import { formatDeltaName } from '../../lib/replication/names.ts';
import { bootableDisk, markerSector, sectorBytes } from '../../test/support/bootSector.ts';
import type { Demo } from './demo.ts';
import { bootMachine, enableProtection } from './protect.ts';
import { waitFor, waitForPoint, waitForState } from './waiting.ts';

const run = promisify(execFile);
const qemuProgram = 'qemu-system-x86_64';
const disk = 'os';
const diskBytes = 2 * 1024 * 1024;
const lastCycle = 2;

/** Whether machines can be booted here. */
export async function hasQemu(): Promise<boolean> {
  return run(qemuProgram, ['--version']).then(
    () => true,
    () => false,
  );
}

/** What the guest shows, and a login prompt for whoever waits for one. */
const markerOf = (cycle: number): string => `written before cycle ${cycle}; login:`;

const report = z.object({
  verdict: z.string(),
  verdictText: z.string(),
  rtoSeconds: z.number(),
  rpoSeconds: z.number(),
  recoveryPoint: z.object({ cycle: z.number() }),
  boot: z.object({ evidenceLine: z.string().nullable() }).nullable(),
  disks: z.array(z.object({ digest: z.string() })),
});
type Report = z.infer<typeof report>;

/** Protects the machine and replicates two cycles, each with a marker of its own. */
async function replicate(demo: Demo): Promise<void> {
  const { client, blobs, signal } = demo;
  const bytes = bootableDisk(diskBytes, markerOf(0));
  await uploadReplica({
    source: {
      sizeBytes: bytes.length,
      read: async (offsetBytes, lengthBytes) => bytes.subarray(offsetBytes, offsetBytes + lengthBytes),
    },
    getUploadUrl: async () => {
      const assigned = await client.getAssignment(bootMachine.item, disk);
      const { uploadUrl = '', expiresAt = '' } = assigned.disk.initialReplication;
      return { url: uploadUrl, expiresAt: new Date(expiresAt) };
    },
    signal,
  });
  await client.completeDisk(bootMachine.item, disk, {});
  let previousUniqueId: string | undefined;
  for (let cycle = 1; cycle <= lastCycle; cycle++) {
    const uniqueId = randomUUID();
    const createdAt = new Date();
    const log = buildHrl([{ diskOffset: sectorBytes, data: markerSector(markerOf(cycle)) }], {
      ...{ uniqueId, createdAt },
      ...(previousUniqueId === undefined ? {} : { previousUniqueId }),
    });
    previousUniqueId = uniqueId;
    const name = formatDeltaName({ item: bootMachine.item, cycle, disk });
    const metadata = { takenat: createdAt.toISOString() };
    await blobs.getContainerClient('deltas').getBlockBlobClient(name).uploadData(log, { metadata });
    await waitForPoint(demo, cycle);
  }
  await waitForState(demo, 'Protected');
}

/** Sends a verb of the machine; returns the id of its job when that is over. Throws an Error when it failed. */
async function act(demo: Demo, verb: string, properties: object): Promise<string> {
  const { client, vault, itemSegments } = demo;
  const path = vault.id(...itemSegments, verb);
  const { headers } = await client.connection.request('POST', path, z.unknown(), { properties });
  const id = /operationresults\/([^?]+)/.exec(headers.get('location') ?? '')?.[1] ?? '';
  const job = z.object({ properties: z.object({ state: z.string(), errors: z.array(z.unknown()) }) });
  await waitFor(demo, `the end of ${verb}`, async () => {
    const { body } = await client.connection.request('GET', vault.id('replicationJobs', id), job);
    const { state, errors } = body.properties;
    if (state === 'Failed' || state === 'Cancelled')
      throw new Error(`${verb}: ${state} ${JSON.stringify(errors)}`);
    return state === 'Succeeded' ? true : undefined;
  });
  return id;
}

/** Boots one recovery point (undefined: the latest), and removes everything of it again. */
async function drill(demo: Demo, recoveryPointId: string | null): Promise<Report> {
  const { client, narrator, blobs } = demo;
  const providerSpecificDetails = { instanceType: 'HyperVReplicaAzure', recoveryPointId };
  const job = await act(demo, 'testFailover', { providerSpecificDetails });
  const path = `/lifeboat/v1/items/${bootMachine.item}/reports/${job}/json`;
  const { body } = await client.connection.request('GET', path, report);
  narrator.note(`the serial console says: "${body.boot?.evidenceLine ?? 'nothing'}"`);
  narrator.note(
    `verdict ${body.verdict}; RTO ${body.rtoSeconds.toFixed(1)} s; disk digest ${body.disks[0]?.digest.slice(0, 16) ?? ''}…`,
  );
  await act(demo, 'testFailoverCleanup', { comments: 'seen' });
  for await (const { name } of blobs.getContainerClient('recovered').listBlobsFlat())
    throw new Error(`The clean-up left ${name}.`);
  return body;
}

const showed = ({ verdict, boot, recoveryPoint }: Report, cycle: number): boolean =>
  verdict === 'passed' && recoveryPoint.cycle === cycle && boot?.evidenceLine === markerOf(cycle);

/** Returns true when each recovery point booted and showed the marker that was written before it. */
export async function showBootDrill(before: Demo): Promise<boolean> {
  const { narrator, client, vault } = before;
  if (!(await hasQemu())) {
    narrator.say(`Boot drill skipped: ${qemuProgram} is not installed (Debian: qemu-system-x86).`);
    return true;
  }
  const itemSegments = await narrator.step(
    'Protect a machine that boots; two cycles, two markers',
    async () => {
      const segments = await enableProtection(client, vault, bootMachine, [
        { id: disk, sizeBytes: diskBytes },
      ]);
      await replicate({ ...before, itemSegments: segments });
      return segments;
    },
  );
  const demo: Demo = { ...before, itemSegments };
  const latest = await narrator.step('Test failover of the latest point, booted in QEMU, cleaned up', () =>
    drill(demo, null),
  );
  const older = await narrator.step('The same of the point before', async () => {
    const points = await vault.listRecoveryPoints(itemSegments);
    const first = points.find(({ properties }) => properties.providerSpecificDetails.cycle === 1);
    return drill(demo, first?.name ?? null);
  });
  const isProven = showed(latest, lastCycle) && showed(older, 1);
  narrator.say(
    isProven
      ? 'Boot drill passed: each point booted with the marker written before it.'
      : 'Boot drill FAILED: a point did not boot with its marker.',
  );
  return isProven;
}
