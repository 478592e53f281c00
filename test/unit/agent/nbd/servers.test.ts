// The client against the servers that people use: nbdkit and qemu-nbd.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDisk } from '../../../../agent/disk/openDisk.ts';
import { formatNbdUri, parseNbdUri } from '../../../../agent/nbd/address.ts';
import { NbdClient } from '../../../../agent/nbd/client.ts';
import { SeededRandom } from '../../../fuzz/random.ts';
import { expectDisk } from '../../../support/images/diskModel.ts';
import { reservedPort, untilListening, type Address } from '../../../support/listening.ts';
import { findMissingTools, titleOf } from '../../../support/tools.ts';

const mib = 1024 * 1024;
let folder = '';
let server: ChildProcess | undefined;
const at = (name: string): string => join(folder, name);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lb-'));
});
afterEach(async () => {
  if (server && server.exitCode === null && server.signalCode === null) {
    server.kill('SIGKILL');
    await new Promise((resolve) => server?.once('close', resolve));
  }
  await rm(folder, { recursive: true, force: true });
});

/** Starts a server; it takes connections at the address when this returns. */
async function serve(program: string, args: readonly string[], address: Address): Promise<void> {
  server = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  await untilListening(server, address);
}

async function nbdkit(...args: string[]): Promise<string> {
  const path = at('socket');
  await serve('nbdkit', ['-f', '-r', '-U', path, ...args], { path });
  return path;
}

/** What nbdkit's pattern plugin has: every eight bytes say where they are. */
function pattern(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  for (let offset = 0; offset + 8 <= sizeBytes; offset += 8) bytes.writeBigUInt64BE(BigInt(offset), offset);
  return bytes;
}

const noKit = findMissingTools({ nbdkit: 'nbdkit' });
describe.skipIf(noKit)(titleOf('nbdkit', noKit), () => {
  const random = new SeededRandom(20_261_128);

  it.each([
    ['as it is', []],
    [
      'with blocks of 4 KiB at least',
      ['--filter=blocksize-policy', 'blocksize-minimum=4096', 'blocksize-error-policy=error'],
    ],
    ['without structured replies', ['--no-sr']],
  ])('is read at any offset: %s', async (_, options) => {
    const path = await nbdkit(
      ...options.filter((option) => option.startsWith('-')),
      'pattern',
      `size=${5 * mib}`,
      ...options.filter((option) => !option.startsWith('-')),
    );
    await using disk = await openDisk(formatNbdUri({ socket: { path }, exportName: '' }));
    expect(await expectDisk(disk, pattern(5 * mib), random)).toBe(5 * mib);
  });

  it('over TCP', async () => {
    const port = await reservedPort();
    await serve('nbdkit', ['-f', '-i', '127.0.0.1', '-p', `${port}`, 'pattern', `size=${mib}`], { port });
    await using disk = await openDisk(`nbd://127.0.0.1:${port}/any`);
    expect(disk.identity).toMatchObject({
      format: 'nbd',
      chain: [{ location: `nbd://127.0.0.1:${port}/any` }],
    });
    await expectDisk(disk, pattern(mib), random);
  });

  it('tells holes, and they are zeros', async () => {
    const path = await nbdkit('data', `size=${64 * mib}`, 'data=@1048576 1 @40000000 "text" @67108863 255');
    await using disk = await openDisk(formatNbdUri({ socket: { path }, exportName: '' }));
    const bytes = Buffer.alloc(64 * mib);
    bytes[mib] = 1;
    bytes.write('text', 40_000_000);
    bytes[64 * mib - 1] = 255;
    expect(await expectDisk(disk, bytes, random)).toBeLessThan(mib);
  });

  it('that fails to read says which range, and goes on', async () => {
    const path = await nbdkit(
      '--filter=error',
      'pattern',
      `size=${mib}`,
      'error-pread=EIO',
      'error-pread-rate=1',
      `error-pread-file=${at('broken')}`,
    );
    await using client = await NbdClient.connect({ socket: { path }, exportName: '' });
    expect(await client.read(0, 4096)).toHaveLength(4096);
    await writeFile(at('broken'), '');
    const error: unknown = await client.read(8192, 512).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'SourceReadFailed' });
    expect(String(error)).toContain('[8192, 8704): EIO');
    await rm(at('broken'));
    expect(await client.read(0, 4096)).toHaveLength(4096);
  });

  it('that is killed ends every read that waits', async () => {
    const path = await nbdkit('--filter=delay', 'pattern', `size=${mib}`, 'rdelay=30');
    await using client = await NbdClient.connect({ socket: { path }, exportName: '' });
    const reads = Array.from({ length: 30 }, (_, index) => client.read(index * 512, 512));
    server?.kill('SIGKILL');
    for (const result of await Promise.allSettled(reads))
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'SourceUnavailable' } });
  });
});

const noQemu = findMissingTools({
  'qemu-img': 'qemu-utils',
  'qemu-io': 'qemu-utils',
  'qemu-nbd': 'qemu-utils',
});
describe.skipIf(noQemu)(titleOf('qemu-nbd', noQemu), () => {
  it('tells what a bitmap holds, as nbdinfo does', async () => {
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', at('disk.qcow2'), '256M']);
    execFileSync('qemu-img', ['bitmap', '--add', '-g', '65536', at('disk.qcow2'), 'b']);
    const writes = [0, 65_536 * 3, 65_536 * 4 + 512, 100 * mib, 256 * mib - 512];
    execFileSync('qemu-io', [
      '-f',
      'qcow2',
      ...writes.flatMap((offset) => ['-c', `write -q ${offset} 512`]),
      at('disk.qcow2'),
    ]);
    const path = at('socket');
    // It goes on when a client leaves (-t), and has more than one (-e).
    const keeps = ['-t', '-e', '4'];
    const image = ['-r', '-f', 'qcow2', '-B', 'b', at('disk.qcow2')];
    await serve('qemu-nbd', [...keeps, '-k', path, ...image], { path });
    const context = 'qemu:dirty-bitmap:b';
    await using client = await NbdClient.connect({ socket: { path }, exportName: '', contexts: [context] });
    const dirty: { offset: number; length: number }[] = [];
    await client.forEachStatus(context, { offsetBytes: 0, lengthBytes: client.sizeBytes }, (run) => {
      if (run.flags === 1) dirty.push({ offset: run.offsetBytes, length: run.lengthBytes });
    });
    expect(dirty).toEqual([
      { offset: 0, length: 65_536 },
      { offset: 65_536 * 3, length: 2 * 65_536 },
      { offset: 100 * mib, length: 65_536 },
      { offset: 256 * mib - 65_536, length: 65_536 },
    ]);
    if (findMissingTools({ nbdinfo: 'libnbd-bin' })) return;
    const text = execFileSync('nbdinfo', [
      `--map=${context}`,
      '--json',
      `nbd+unix:///?socket=${path}`,
    ]).toString();
    const theirs = JSON.parse(text) as { offset: number; length: number; type: number }[];
    expect(theirs.filter(({ type }) => type === 1).map(({ offset, length }) => ({ offset, length }))).toEqual(
      dirty,
    );
  });

  it('that dies under a QCOW2 disk is named, with the file', async () => {
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', at('disk.qcow2'), '8M']);
    await using disk = await openDisk(at('disk.qcow2'));
    const found = execFileSync('ps', ['-eo', 'pid=,args=']).toString().split('\n');
    const pid = found.find((line) => line.includes('qemu-nbd') && line.includes(at('disk.qcow2')))?.trim();
    process.kill(Number(pid?.split(' ')[0]), 'SIGKILL');
    const error: unknown = await disk.read(0, 4096).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'SourceUnavailable', target: at('disk.qcow2') });
    expect(String(error)).toContain('qemu-nbd ended (SIGKILL)');
  });
});

describe('an address', () => {
  it.each([
    ['nbd://host/disk', { socket: { host: 'host', port: 10809 }, exportName: 'disk' }],
    ['nbd://[::1]:99/a%20b', { socket: { host: '::1', port: 99 }, exportName: 'a b' }],
    ['nbd+unix:///disk?socket=/run/s', { socket: { path: '/run/s' }, exportName: 'disk' }],
    ['nbd://host', { socket: { host: 'host', port: 10809 }, exportName: '' }],
  ])('%s', (uri, address) => {
    expect(parseNbdUri(uri)).toEqual(address);
    expect(parseNbdUri(formatNbdUri(address))).toEqual(address);
  });

  it.each(['nbd:', 'nbd+unix:///disk', 'nbds://host/disk', 'nbd://user@host/disk'])(
    '%s is refused',
    async (uri) => {
      expect(() => parseNbdUri(uri)).toThrow('NBD address');
      await expect(openDisk(uri)).rejects.toMatchObject({ code: 'InvalidRequest' });
    },
  );
});
