// Machines that really run: a guest of two sectors boots from recovered disks.
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ComputeProvider, MachineOrder } from '../../../lib/compute/port.ts';
import { qemuArguments } from '../../../lib/compute/qemu/arguments.ts';
import { findBootEvidence, readableConsole } from '../../../lib/compute/consoleText.ts';
import { qemuProvider } from '../../../lib/compute/qemu/provider.ts';
import { memoryStorage } from '../../../lib/storage/memory/index.ts';
import { codeOf, patternBytes } from '../../contract/outcomes.ts';
import { bootableDisk, hasQemu, markerSector, sectorBytes, type GuestEnd } from '../../support/bootSector.ts';
import { machineOrder } from '../../support/machineOrder.ts';
import { eventually } from '../../support/protectedVm.ts';

const mib = 2 ** 20;

describe('the console of a guest', () => {
  it('is read without terminal sequences, line by line', () => {
    const raw = '\u001b[2J\u001b[1;1HSeaBIOS\r\n\u001b]0;title\u0007Debian 12 \r\nweb01 login: ';
    const text = readableConsole(new TextEncoder().encode(raw));
    expect(text).toBe('SeaBIOS\nDebian 12 \nweb01 login: ');
    expect(findBootEvidence(text, null)).toBe('web01 login:');
    expect(findBootEvidence(text, 'Debian 12')).toBe('Debian 12');
    expect(findBootEvidence(text, 'Debian 13')).toBeUndefined();
    expect(findBootEvidence('last login: yesterday', null)).toBeUndefined();
  });
});

describe('the command line', () => {
  const choices = {
    ...{ accelerator: 'tcg' as const, memoryMb: 256, processors: 1, qmpPath: '/tmp/a,b.sock' },
    firmware: { codePath: '/code.fd', variablesPath: 'vars.fd' },
  };
  const disks = (count: number): MachineOrder['disks'] =>
    Array.from({ length: count }, (_, index) => ({ ...machineOrder().disks[0]!, disk: `d${index}` }));

  it('gives no machine a network, and quotes paths', () => {
    for (const generation of ['1', '2'] as const) {
      const line = qemuArguments(machineOrder({ generation }), choices).join(' ');
      expect(line).toContain('-nic none');
      expect(line).toContain('unix:/tmp/a,,b.sock,');
    }
  });

  it('finds a place for sixteen disks of either generation', () => {
    for (const generation of ['1', '2'] as const) {
      const line = qemuArguments(machineOrder({ generation, disks: disks(17) }), choices);
      const devices = line.filter((text) => /^(ide-hd|nvme),/.test(text));
      expect(devices).toHaveLength(17);
      const places = devices.map((text) => text.replace(/drive=disk\d+,?/, ''));
      expect(new Set(places).size).toBe(17);
    }
  });
});

describe.skipIf(!hasQemu())('a machine in QEMU', () => {
  let folder: string;
  const storage = memoryStorage();
  let provider: ComputeProvider;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lifeboat-qemu-'));
    provider = qemuProvider(storage, { folder, memoryLimitMb: 64 });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** An order whose disks are in `recovered`: one that boots, one with data. */
  const prepared = async (
    name: string,
    marker: string,
    { end = 'halt', ...overrides }: Partial<MachineOrder> & { end?: GuestEnd } = {},
  ): Promise<MachineOrder> => {
    const order = machineOrder({ item: name, generation: '1', ...overrides });
    const [os, data] = order.disks;
    await storage.recovered.create(os!.blobName, os!.blobSizeBytes);
    await storage.recovered.writePages(os!.blobName, 0, bootableDisk(4096, marker, end));
    await storage.recovered.create(data!.blobName, data!.blobSizeBytes);
    await storage.recovered.writePages(data!.blobName, 5 * mib, patternBytes(mib, 3));
    return order;
  };
  const digest = async ({ disks }: MachineOrder, index = 0): Promise<string> => {
    const { blobName, blobSizeBytes } = disks[index]!;
    const bytes = await storage.recovered.read(blobName, { offsetBytes: 0, lengthBytes: blobSizeBytes });
    return createHash('sha256').update(bytes).digest('hex');
  };
  const settled = (order: MachineOrder, marker: string | null) =>
    eventually('the guest shows something', async () => {
      const seen = await provider.observeBoot(order, marker);
      return seen.verdict === 'pending' ? undefined : seen;
    });

  it('shows what is on its disk, leaves the recovered disks alone, and goes away whole', async () => {
    const order = await prepared('vm-test', 'written before cycle 7', { purpose: 'test' });
    const before = [await digest(order), await digest(order, 1)];
    expect(await provider.powerState(order)).toBe('absent');
    for (let time = 0; time < 2; time++) expect(await provider.prepareDisks(order)).toEqual({ isDone: true });
    for (let time = 0; time < 2; time++)
      expect(await provider.createMachine(order)).toEqual({ isDone: true });
    expect(await provider.powerState(order)).toBe('running');
    const seen = await settled(order, 'cycle 7');
    expect(seen).toMatchObject({ verdict: 'booted', evidenceLine: 'written before cycle 7' });
    const { screenshot } = await provider.observeBoot(order, 'cycle 7', { wantsScreenshot: true });
    expect(Buffer.from(screenshot!.bytes.subarray(1, 4)).toString()).toBe('PNG');
    expect((await provider.observeBoot(order, 'cycle 8')).verdict).toBe('pending');
    const leftovers: string[] = [];
    for await (const { item, jobId } of provider.listLeftovers()) leftovers.push(`${item}/${jobId}`);
    expect(leftovers).toEqual([`vm-test/${order.jobId}`]);
    for (let time = 0; time < 2; time++) await provider.deleteAll(order);
    expect(await provider.powerState(order)).toBe('absent');
    expect(await readdir(folder)).toEqual([]);
    expect([await digest(order), await digest(order, 1)]).toEqual(before);
  });

  it('that stops without the marker has not booted', async () => {
    const order = await prepared('vm-reset', 'something else', { purpose: 'test', end: 'reset' });
    await provider.prepareDisks(order);
    await provider.createMachine(order);
    const seen = await settled(order, 'the marker');
    expect(seen).toMatchObject({ verdict: 'ended', evidenceLine: null });
    expect(seen.consoleText).toContain('something else');
    expect(await provider.powerState(order)).toBe('stopped');
    await provider.deleteAll(order);
  });

  it('changes its recovered disks only when they are captured', async () => {
    const order = await prepared('vm-failover', 'keep me');
    await provider.prepareDisks(order);
    await provider.createMachine(order);
    await settled(order, 'keep me');
    expect(await codeOf(provider.captureDisks(order))).toBe('ComputeUnavailable');
    const before = [await digest(order), await digest(order, 1)];
    // The guest takes no notice of the power button; a test need not wait until it is pulled.
    await provider.stopMachine({ ...order, purpose: 'test' });
    expect(await provider.powerState(order)).toBe('stopped');
    for (let time = 0; time < 2; time++) await provider.captureDisks(order);
    const page = { offsetBytes: 2 * sectorBytes, lengthBytes: sectorBytes };
    expect(await storage.recovered.read(order.disks[0]!.blobName, page)).toEqual(markerSector('keep me'));
    expect(await digest(order)).not.toBe(before[0]);
    expect(await digest(order, 1)).toBe(before[1]);
    await provider.deleteAll(order);
  });

  it('that cannot be started says why', async () => {
    const order = await prepared('vm-none', 'x');
    const broken = qemuProvider(storage, { folder, program: 'qemu-system-none' });
    await broken.prepareDisks(order);
    await expect(broken.createMachine(order)).rejects.toThrow(/qemu-system-none.*Install qemu-system-x86/);
    await broken.deleteAll(order);
  });
});
