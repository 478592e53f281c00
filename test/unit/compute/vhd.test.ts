import { describe, expect, it } from 'vitest';
import { vhdProvider } from '../../../lib/compute/vhd/provider.ts';
import { templateFiles } from '../../../lib/compute/vhd/template.ts';
import { recoveredFolder } from '../../../lib/recovery/names.ts';
import { memoryStorage } from '../../../lib/storage/memory/index.ts';
import { codeOf } from '../../contract/outcomes.ts';
import { machineOrder, networkId } from '../../support/machineOrder.ts';

interface Template {
  parameters: Record<string, { type: string; metadata: { description: string } }>;
  resources: { type: string; name: string; dependsOn?: string[]; [key: string]: unknown }[];
}

const parse = (text: string | undefined): Template => JSON.parse(text ?? '') as Template;

describe('the template of a machine', () => {
  const order = machineOrder();
  const files = templateFiles(order);
  const template = parse(files['machine.json']);

  it('names every resource that it refers to, before it is needed', () => {
    const seen: string[] = [];
    for (const { type, name, dependsOn = [], ...rest } of template.resources) {
      const needed = [...JSON.stringify(rest).matchAll(/\[resourceId\('[^']+', '[^']+'\)\]/g)].map(
        ([each]) => each,
      );
      expect(dependsOn).toEqual([...new Set(needed)]);
      for (const each of dependsOn) expect(seen).toContain(each);
      seen.push(`[resourceId('${type}', '${name}')]`);
    }
    expect(template.resources.map(({ type }) => type.split('/')[1])).toEqual([
      ...['disks', 'disks', 'networkSecurityGroups', 'networkInterfaces', 'virtualMachines'],
    ]);
  });

  it('declares every parameter that it uses, and the parameters file fills those that are known', () => {
    const used = new Set(
      [...(files['machine.json'] ?? '').matchAll(/parameters\('(\w+)'\)/g)].map((match) => match[1]),
    );
    expect([...used].sort()).toEqual(Object.keys(template.parameters).sort());
    const known = JSON.parse(files['machine.parameters.json'] ?? '') as {
      parameters: Record<string, { value: string }>;
    };
    expect(known.parameters).toEqual({
      vmSize: { value: 'Standard_D2s_v5' },
      subnetId0: { value: `${networkId}/subnets/front` },
    });
  });

  it('attaches the recovered disks and opens nothing to the internet', () => {
    const text = files['machine.json'] ?? '';
    for (const { blobName } of order.disks)
      expect(text).toContain(`[format('{0}/${blobName}', parameters('recoveredUrl'))]`);
    expect(text).not.toMatch(/publicIPAddress/i);
    expect(text).toContain('DenyInternetInbound');
    expect(template.resources.at(-1)).toMatchObject({
      properties: { storageProfile: { osDisk: { createOption: 'Attach', osType: 'Linux' } } },
    });
  });

  it('says the same in Bicep: balanced, every symbol declared, no expression of JSON left', () => {
    const bicep = files['machine.bicep'] ?? '';
    expect(bicep).not.toMatch(/\[(resourceId|parameters|format)\(/);
    for (const [open, close] of ['{}', '[]'])
      expect(bicep.split(open!).length, `${open!}${close!}`).toBe(bicep.split(close!).length);
    const declared = new Set([...bicep.matchAll(/^(?:param|resource) (\w+)/gm)].map((match) => match[1]));
    for (const [, symbol] of bicep.matchAll(/\b(resource\d+)\.id/g)) expect(declared).toContain(symbol);
    for (const [, parameter] of bicep.matchAll(/: ([a-z]\w*)$/gim))
      expect(['true', 'false', ...declared]).toContain(parameter);
    expect([...declared].filter((name) => name?.startsWith('resource'))).toHaveLength(
      template.resources.length,
    );
    expect(bicep).toContain(`sourceUri: '\${recoveredUrl}/${order.disks[0]!.blobName}'`);
  });
});

describe('the provider that makes templates', () => {
  it('needs whole disks, writes beside them, and takes everything back', async () => {
    const storage = memoryStorage();
    const order = machineOrder();
    const provider = vhdProvider(storage);
    expect(await codeOf(provider.prepareDisks(order))).toBe('RecoveryDiskMissing');
    for (const { blobName, blobSizeBytes } of order.disks)
      await storage.recovered.create(blobName, blobSizeBytes);
    await storage.recovered.holdLease(order.disks[1]!.blobName, 'lease');
    expect(await codeOf(provider.prepareDisks(order))).toBe('RecoveryDiskMissing');
    await storage.recovered.releaseLease(order.disks[1]!.blobName, 'lease');
    expect(await provider.prepareDisks(order)).toEqual({ isDone: true });
    for (let time = 0; time < 2; time++)
      expect(await provider.createMachine(order)).toEqual({ isDone: true });
    const names = async () => {
      const found: string[] = [];
      for await (const { name } of storage.recoveredFiles.list('')) found.push(name);
      return found;
    };
    const folder = recoveredFolder(order.item, order.jobId);
    expect(await names()).toEqual(
      ['machine.bicep', 'machine.json', 'machine.parameters.json'].map((name) => `${folder}${name}`),
    );
    expect((await provider.observeBoot(order, null)).verdict).toBe('unavailable');
    for (let time = 0; time < 2; time++) await provider.deleteAll(order);
    expect(await names()).toEqual([]);
    expect(await storage.recovered.find(order.disks[0]!.blobName)).toBeDefined();
  });
});
