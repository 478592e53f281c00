// What a host reports of its machines.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseConfig } from '../../../agent/daemon/config.ts';
import { reportedMachine } from '../../../agent/daemon/inventory.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inventory-'));
  await writeFile(join(folder, 'os.raw'), new Uint8Array(4096));
});
afterAll(() => rm(folder, { recursive: true }));

async function machineWith(disk: string) {
  const text = `service: { url: "https://lifeboat.example" }
site: site1
stateFolder: state
machines:
  - { id: vm-1, disks: [${disk}] }
`;
  const { machines } = await parseConfig(text, join(folder, 'agent.yaml'));
  return machines[0]!;
}

it('a disk has the size of its image, or the one that is stated where the image is out of reach', async () => {
  const read = await reportedMachine(await machineWith('{ id: os, path: os.raw }'));
  expect(read.disks).toMatchObject([{ id: 'os', sizeBytes: 4096 }]);
  const stated = await reportedMachine(await machineWith('{ id: os, path: locked.vhdx, sizeBytes: 1GiB }'));
  expect(stated.disks).toMatchObject([{ id: 'os', sizeBytes: 2 ** 30 }]);
  await expect(reportedMachine(await machineWith('{ id: os, path: locked.vhdx }'))).rejects.toThrow(
    /locked\.vhdx/,
  );
});
