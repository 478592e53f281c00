// The demo itself, step by step: protect a running machine, five cycles delivered in awkward ways, and the proof that
// every recovery point equals the machine at its moment.
import { formatBytes } from '../../cli/humanText.ts';
import { CycleCutter, isWaiting, sendAssigned, sendByCommand, sendPlain, type CutLog } from './cycles.ts';
import { planDataWrites } from './dataDisk.ts';
import { item, type Demo } from './demo.ts';
import { copyDisk, countStaleBytes } from './initialCopy.ts';
import { isProven, proofTable, provePoints } from './proof.ts';
import { waitFor, waitForHealthError, waitForPoint } from './waiting.ts';

const lastCycle = 5;

/** One round of life on the source machine. */
async function changeMachine({ disks, guest }: Demo, round: number): Promise<void> {
  const [system, data] = disks;
  if (system) for (const write of await guest.planChanges(system.path, round)) await system.write(write);
  if (data) for (const write of planDataWrites(round)) await data.write(write);
}

async function nextCycle(demo: Demo, cutter: CycleCutter, cycle: number): Promise<CutLog[]> {
  return demo.narrator.step(`Cycle ${cycle}: the machine changes, is frozen, two logs are made`, async () => {
    await changeMachine(demo, cycle);
    return cutter.cut();
  });
}

async function copyRunningMachine(demo: Demo): Promise<void> {
  const { narrator, guest, disks } = demo;
  for (const disk of disks) {
    const isSystem = disk === disks[0];
    const writes = isSystem ? await guest.planChanges(disk.path, 0) : planDataWrites(0);
    const size = formatBytes(disk.sizeBytes);
    await narrator.step(
      `Copy the ${disk.id} disk (${size}) while ${writes.length} writes change it`,
      async () => {
        await copyDisk(demo, disk, writes);
        const stale = formatBytes(await countStaleBytes(demo, disk));
        narrator.note(`${stale} of the copy are older than the disk; the log of cycle 1 has them`);
      },
    );
  }
}

async function firstCycle(demo: Demo, cutter: CycleCutter): Promise<void> {
  const { narrator, client, disks } = demo;
  const logs = await nextCycle(demo, cutter, 1);
  await narrator.step('Its logs arrive before the copies are declared complete, and queue', async () => {
    for (const log of logs) await sendAssigned(demo, log);
  });
  await narrator.step('Declare both copies complete; the queued logs are merged', async () => {
    for (const disk of disks) await client.completeDisk(item, disk.id, { consistentFromCycle: 1 });
    await waitForPoint(demo, 1);
  });
}

async function doubledCycle(demo: Demo, cutter: CycleCutter): Promise<void> {
  const { narrator } = demo;
  const [system, data] = await nextCycle(demo, cutter, 2);
  if (!system || !data) throw new Error('A cycle has two logs.');
  await narrator.step('A plain PUT delivers the system log, twice, then the data log', async () => {
    await sendPlain(demo, system);
    await sendPlain(demo, system);
    await sendPlain(demo, data);
    await waitForPoint(demo, 2);
  });
  await narrator.step('The same log comes again after its cycle was applied', async () => {
    await sendPlain(demo, system);
    await waitFor(
      demo,
      'the doubled log to be recognized',
      async () => !(await isWaiting(demo, system)) || undefined,
    );
    const { properties } = await demo.vault.getProtectedItem(demo.itemSegments);
    if (properties.healthErrors.length > 0)
      throw new Error(
        `The doubled log was not taken as harmless: ${JSON.stringify(properties.healthErrors)}`,
      );
  });
}

async function swappedCycles(demo: Demo, cutter: CycleCutter): Promise<void> {
  const { narrator } = demo;
  const third = await nextCycle(demo, cutter, 3);
  const fourth = await nextCycle(demo, cutter, 4);
  await narrator.step('Cycle 4 arrives before cycle 3: it has to wait', async () => {
    for (const log of fourth) await sendPlain(demo, log);
    const message = await waitForHealthError(demo, 'LogsMissing');
    narrator.note(`health: ${message.split('; ')[0] ?? message}`);
  });
  await narrator.step('Cycle 3 arrives: 3 and then 4 are applied', async () => {
    for (const log of third) await sendPlain(demo, log);
    await waitForPoint(demo, 4);
  });
}

async function commandCycle(demo: Demo, cutter: CycleCutter): Promise<void> {
  const logs = await nextCycle(demo, cutter, lastCycle);
  await demo.narrator.step('`lifeboat upload log` delivers its logs', async () => {
    for (const log of logs) await sendByCommand(demo, log);
    await waitForPoint(demo, lastCycle);
  });
}

/** Runs the story. Returns true when all recovery points are proven. */
export async function tell(demo: Demo): Promise<boolean> {
  const { narrator } = demo;
  const cutter = new CycleCutter(demo);
  await copyRunningMachine(demo);
  await firstCycle(demo, cutter);
  await doubledCycle(demo, cutter);
  await swappedCycles(demo, cutter);
  await commandCycle(demo, cutter);
  const rows = await narrator.step('Download every recovery point and compare it', () => provePoints(demo));
  narrator.say('');
  narrator.table(proofTable(rows));
  narrator.say('');
  const failed = rows.filter((row) => !isProven(row));
  for (const row of failed)
    narrator.say(`cycle ${row.cycle}, ${row.disk}: VHD ${row.tail}; file system: ${row.fileSystem}`);
  const expectedRows = lastCycle * demo.disks.length;
  if (rows.length !== expectedRows) narrator.say(`${rows.length} rows instead of ${expectedRows}.`);
  const states = new Set(rows.map(({ sha256 }) => sha256));
  if (states.size !== rows.length) narrator.say('Two recovery points are the same: the demo proves nothing.');
  return failed.length === 0 && rows.length === expectedRows && states.size === rows.length;
}
