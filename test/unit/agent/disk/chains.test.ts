// Broken chains: each is found when the disk is opened, with its reason, and no file stays open.
import { mkdir, mkdtemp, readdir, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BrokenChainError } from '../../../../agent/disk/errors.ts';
import { openDisk } from '../../../../agent/disk/openDisk.ts';
import { buildVhd, type VhdOptions } from '../../../support/images/vhdWriter.ts';
import { buildVhdx, type VhdxOptions } from '../../../support/images/vhdxWriter.ts';

const mib = 1024 * 1024;
const guid = (digit: string): string => `${digit.repeat(8)}-0000-4000-8000-000000000000`;
const hexId = (digit: string): string => digit.repeat(32);
const writes = [{ offset: mib, data: Buffer.alloc(1024, 9) }];

let folder = '';
const at = (...names: string[]): string => join(folder, ...names);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lifeboat-chain-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const vhd = (id: string, options: Partial<VhdOptions> = {}): Buffer =>
  buildVhd({
    type: options.parent ? 'differencing' : 'dynamic',
    sizeBytes: 4 * mib,
    uniqueId: hexId(id),
    writes,
    ...options,
  });
const vhdChild = (id: string, parentId: string, name: string): Buffer =>
  vhd(id, { parent: { uniqueId: hexId(parentId), name, locators: [] } });
const vhdx = (id: string, options: Partial<VhdxOptions> = {}): Buffer =>
  buildVhdx({ sizeBytes: 4 * mib, dataWriteGuid: guid(id), writes, ...options });
const vhdxChild = (id: string, linkage: string, relativePath: string): Buffer =>
  vhdx(id, { parent: { linkage: guid(linkage), paths: { relative_path: relativePath } } });

async function openHandles(): Promise<string[]> {
  const handles = await readdir('/proc/self/fd').catch(() => []);
  const targets = await Promise.all(
    handles.map((handle) => readlink(`/proc/self/fd/${handle}`).catch(() => '')),
  );
  return targets.filter((target) => target.startsWith(folder));
}

async function faultOf(path: string): Promise<BrokenChainError> {
  const error: unknown = await openDisk(path).then(
    (disk) => disk.close(),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BrokenChainError)) throw new Error(`not a broken chain: ${String(error)}`);
  expect(error).toMatchObject({ code: 'BrokenVhdChain', kind: 'fatal' });
  expect(await openHandles()).toEqual([]);
  return error;
}

describe('a chain is broken when', () => {
  it('the parent is missing: the message names what the image says and where was looked', async () => {
    await writeFile(at('child.vhd'), vhdChild('2', '1', 'base.vhd'));
    await writeFile(at('child.avhdx'), vhdxChild('2', '1', '..\\bases\\base.vhdx'));
    expect(await faultOf(at('child.vhd'))).toMatchObject({
      fault: 'parent missing',
      target: at('child.vhd'),
    });
    const { message, fault } = await faultOf(at('child.avhdx'));
    expect(fault).toBe('parent missing');
    expect(message).toContain(join(folder, '..', 'bases', 'base.vhdx'));
    expect(message).toContain(at('base.vhdx'));
  });

  it('the parent is another disk, or the same one after it was written', async () => {
    await writeFile(at('child.vhd'), vhdChild('2', '1', 'base.vhd'));
    await writeFile(at('base.vhd'), vhd('3'));
    expect(await faultOf(at('child.vhd'))).toMatchObject({ fault: 'id mismatch' });
    await writeFile(at('child.avhdx'), vhdxChild('2', '1', 'base.vhdx'));
    await writeFile(at('base.vhdx'), vhdx('3'));
    const { fault, message } = await faultOf(at('child.avhdx'));
    expect(fault).toBe('id mismatch');
    expect(message).toContain(guid('1'));
    expect(message).toContain(guid('3'));
  });

  it('the sizes differ', async () => {
    await writeFile(at('child.vhd'), vhdChild('2', '1', 'base.vhd'));
    await writeFile(at('base.vhd'), vhd('1', { sizeBytes: 6 * mib }));
    expect(await faultOf(at('child.vhd'))).toMatchObject({ fault: 'size mismatch' });
    await writeFile(at('child.avhdx'), vhdxChild('2', '1', 'base.vhdx'));
    await writeFile(at('base.vhdx'), vhdx('1', { sizeBytes: 6 * mib }));
    expect(await faultOf(at('child.avhdx'))).toMatchObject({ fault: 'size mismatch' });
  });

  it('it is circular, at once or through a link', async () => {
    await writeFile(at('self.vhd'), vhdChild('1', '1', 'self.vhd'));
    expect(await faultOf(at('self.vhd'))).toMatchObject({ fault: 'cycle' });
    await writeFile(at('a.avhdx'), vhdxChild('1', '2', 'b.avhdx'));
    await writeFile(at('b.avhdx'), vhdxChild('2', '1', 'link.avhdx'));
    await symlink(at('a.avhdx'), at('link.avhdx'));
    expect(await faultOf(at('a.avhdx'))).toMatchObject({ fault: 'cycle' });
  });

  it('it is deeper than any program makes it', async () => {
    for (let index = 0; index < 70; index++) {
      const name = (number: number): string => `${number}.vhd`;
      const id = (number: number): string => number.toString(16).padStart(32, '0');
      const parent = { uniqueId: id(index + 1), name: name(index + 1), locators: [] };
      const image = buildVhd({
        type: 'differencing',
        sizeBytes: mib,
        uniqueId: id(index),
        writes: [],
        parent,
      });
      await writeFile(at(name(index)), image);
    }
    expect(await faultOf(at('0.vhd'))).toMatchObject({ fault: 'too deep' });
  });

  it('a parent is damaged: the message is the parent’s', async () => {
    await writeFile(at('child.avhdx'), vhdxChild('2', '1', 'base.vhdx'));
    await writeFile(at('base.vhdx'), vhdx('1').fill(0, 192 * 1024, 320 * 1024));
    const { fault, message } = await faultOf(at('child.avhdx'));
    expect(fault).toBe('corruption');
    expect(message).toContain('base.vhdx: neither of the two region tables');
    await writeFile(at('child.vhd'), vhdChild('2', '1', 'base.vhd'));
    await writeFile(at('base.vhd'), Buffer.alloc(mib));
    expect(await faultOf(at('child.vhd'))).toMatchObject({ fault: 'corruption' });
  });

  it('the break is two levels down', async () => {
    await writeFile(at('2.vhd'), vhdChild('3', '2', '1.vhd'));
    await writeFile(at('1.vhd'), vhdChild('2', '1', '0.vhd'));
    expect(await faultOf(at('2.vhd'))).toMatchObject({ fault: 'parent missing', target: at('1.vhd') });
  });
});

describe('a parent is found', () => {
  it('by a relative path from the real place of the child, although the child is opened through a link', async () => {
    await mkdir(at('vm', 'snapshots'), { recursive: true });
    await writeFile(at('vm', 'base.vhdx'), vhdx('1'));
    await writeFile(at('vm', 'snapshots', 'child.avhdx'), vhdxChild('2', '1', '..\\base.vhdx'));
    await symlink(at('vm', 'snapshots', 'child.avhdx'), at('disk.avhdx'));
    await using disk = await openDisk(at('disk.avhdx'));
    expect(disk.identity.chain.map(({ location }) => location)).toEqual([
      at('vm', 'snapshots', 'child.avhdx'),
      at('vm', 'base.vhdx'),
    ]);
  });

  it('beside the child, when the folder was copied from Windows', async () => {
    await writeFile(at('base.vhdx'), vhdx('1'));
    const paths = { relative_path: '..\\..\\gone\\base.vhdx', absolute_win32_path: 'D:\\VMs\\base.vhdx' };
    await writeFile(at('child.avhdx'), vhdx('2', { parent: { linkage: guid('1'), paths } }));
    await using disk = await openDisk(at('child.avhdx'));
    expect(disk.identity.chain).toHaveLength(2);
  });

  it('by the second place, when the first holds another disk', async () => {
    await mkdir(at('old'));
    await writeFile(at('old', 'base.vhdx'), vhdx('7'));
    await writeFile(at('base.vhdx'), vhdx('1'));
    await writeFile(at('child.avhdx'), vhdxChild('2', '1', 'old\\base.vhdx'));
    await using disk = await openDisk(at('child.avhdx'));
    expect(disk.identity.chain[1]).toMatchObject({ location: at('base.vhdx'), imageId: guid('1') });
  });

  it('by its second linkage, which a parent has while it is being merged', async () => {
    await writeFile(at('base.vhdx'), vhdx('4'));
    const parent = { linkage: guid('1'), linkage2: guid('4'), paths: { relative_path: 'base.vhdx' } };
    await writeFile(at('child.avhdx'), vhdx('2', { parent }));
    await using disk = await openDisk(at('child.avhdx'));
    expect(disk.identity.chain).toHaveLength(2);
  });

  it('by the URL that a Mac wrote', async () => {
    await writeFile(at('a base.vhd'), vhd('1'));
    const locators = [{ code: 'MacX' as const, text: `file://localhost${at('a%20base.vhd')}` }];
    await writeFile(at('child.vhd'), vhd('2', { parent: { uniqueId: hexId('1'), name: '', locators } }));
    await using disk = await openDisk(at('child.vhd'));
    expect(disk.identity.chain).toHaveLength(2);
  });

  it('only if it is of the child’s own format', async () => {
    await writeFile(at('base.vhd'), vhdx('1'));
    await writeFile(at('child.vhd'), vhdChild('2', '1', 'base.vhd'));
    expect(await faultOf(at('child.vhd'))).toMatchObject({ fault: 'corruption' });
  });
});
