// What the daemon decides, without a service: its configuration, its files, its lock, its spool, and the folder of logs.
import { randomUUID } from 'node:crypto';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { parseConfig } from '../../../agent/daemon/config.ts';
import { sourceCodeOf } from '../../../agent/daemon/failures.ts';
import { signAssertion, type Identity } from '../../../agent/daemon/identity.ts';
import { findInstance, lockInstance } from '../../../agent/daemon/instanceLock.ts';
import { Spool, quotaReachedAtMs } from '../../../agent/daemon/spool.ts';
import { readState, writeState } from '../../../agent/daemon/stateFiles.ts';
import { AgentError } from '../../../agent/agentError.ts';
import { findNextLog, listClosedLogs } from '../../../agent/track/hrlFolder/logFolder.ts';
import { LifeboatError, errorCatalogue, type ErrorCode } from '../../../lib/errors.ts';
import { buildHrl } from '../../../lib/hrl/writer.ts';
import { sourceErrorCodes } from '../../../lib/retry/catalogue.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'daemon-'));
});
afterEach(() => rm(folder, { recursive: true }));

const minimal = `service: { url: "https://lifeboat.example" }
site: site1
stateFolder: state
machines:
  - { id: vm-1, disks: [{ id: os, path: os.vhdx }] }
`;

describe('agent.yaml', () => {
  it('fills in what is not said, and makes paths absolute', async () => {
    const config = await parseConfig(minimal, '/etc/lifeboat/agent.yaml');
    expect(config).toMatchObject({
      stateFolder: '/etc/lifeboat/state',
      heartbeatSeconds: 60,
      spool: { quota: 10 * 1024 ** 3 },
      machines: [{ tracker: { kind: 'scan' }, disks: [{ id: 'os', path: '/etc/lifeboat/os.vhdx' }] }],
    });
  });

  it('understands sizes, rates and hours', async () => {
    const text = `${minimal}spool: { quota: 5 GiB }
bandwidth: { limit: unlimited, timeZone: Europe/Berlin, hours: [{ from: "08:00", to: "18:30", limit: 20MiB }] }
`;
    expect(await parseConfig(text, 'agent.yaml')).toMatchObject({
      spool: { quota: 5 * 1024 ** 3 },
      bandwidth: {
        bytesPerSecond: null,
        hours: [{ days: [1, 2, 3, 4, 5], startMinute: 480, endMinute: 1110, bytesPerSecond: 20 * 1024 ** 2 }],
      },
    });
  });

  it.each([
    ['a misspelt field', minimal.replace('site:', 'sight:'), /site: .*; .*sight/],
    ['no service', minimal.replace(/service.*\n/, 'service: {}\n'), /needs either url or local/],
    ['two machines of one id', `${minimal}  - { id: VM-1, disks: [{ id: os, path: a }] }\n`, /same id/],
    [
      'a disk without a place',
      minimal.replace(', path: os.vhdx', ''),
      /machines\.0\.disks\.0\.path: is needed/,
    ],
    ['a wrong rate', `${minimal}bandwidth: { limit: fast }\n`, /bandwidth\.limit/],
    ['a wrong zone', `${minimal}bandwidth: { timeZone: "+02:00" }\n`, /time zone/],
    ['no YAML', 'a: [', /agent\.yaml: /],
    [
      'a log folder that is not named',
      minimal.replace('disks:', 'tracker: { kind: hrlFolder }, disks:'),
      /logs: is needed/,
    ],
  ])('refuses %s by name', async (_, text, message) => {
    const error: unknown = await parseConfig(text, 'agent.yaml').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'ConfigInvalid' });
    expect((error as Error).message).toMatch(message);
  });
});

describe('state', () => {
  it('is the old or the new one, never a part', async () => {
    const path = join(folder, 'state.json');
    const schema = z.strictObject({ value: z.number() });
    expect(await readState(path, schema)).toBeUndefined();
    await writeState(path, { value: 1 });
    // What a crash in the middle of the next write leaves.
    await writeFile(`${path}.part`, '{"val');
    expect(await readState(path, schema)).toEqual({ value: 1 });
    await writeState(path, { value: 2 });
    expect(await readState(path, schema)).toEqual({ value: 2 });
    expect(await readdir(folder)).toEqual(['state.json']);
    await writeFile(path, '{"value":"3"}');
    await expect(readState(path, schema)).rejects.toMatchObject({ code: 'StateInvalid' });
  });

  it('is of one agent at a time, and free after a crash', async () => {
    const path = join(folder, 'agent.lock');
    {
      await using held = await lockInstance(path);
      await expect(lockInstance(path)).rejects.toMatchObject({ code: 'AgentRunning' });
      expect(await findInstance(path)).toEqual({ pid: process.pid });
      await held.release();
    }
    expect(await findInstance(path)).toBeUndefined();
    const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)']);
    await writeFile(path, `${child.pid} \n`);
    await expect(lockInstance(path)).rejects.toMatchObject({ code: 'AgentRunning' });
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    const taken = await lockInstance(path);
    // The number of a process that died may be another's by now: its start tells.
    await writeFile(path, `${process.pid} 12345\n`);
    if (process.platform === 'linux') expect(await findInstance(path)).toBeUndefined();
    await taken.release();
  });
});

describe('the spool', () => {
  it('has room up to its quota, and removes the logs of one item alone', async () => {
    const spool = new Spool(join(folder, 'spool'), 10 * 1024 * 1024);
    const room = await spool.reserve(4 * 1024 * 1024);
    expect(room).toBeDefined();
    expect(await spool.reserve(6 * 1024 * 1024)).toBeUndefined();
    room?.release();
    expect(await spool.reserve(6 * 1024 * 1024)).toBeDefined();
    const paths = ['vm-1', 'vm-1-2', 'vm-1'].map((item, index) => spool.pathOf(item, index + 1, 'os'));
    for (const path of paths) await writeFile(path, 'x');
    await spool.removeOthers('vm-1', [paths[2]!]);
    expect((await readdir(spool.folder)).sort()).toEqual([
      'vm-1-000000000003-os.hrl',
      'vm-1-2-000000000002-os.hrl',
    ]);
  });

  it('tells when it will be full, if it grows', () => {
    const at = (atMs: number, usedBytes: number) => ({ atMs, usedBytes });
    expect(quotaReachedAtMs([at(0, 0), at(1000, 10)], 100)).toBe(10_000);
    expect(quotaReachedAtMs([at(0, 50), at(1000, 50)], 100)).toBeUndefined();
    expect(quotaReachedAtMs([at(0, 0), at(1000, 200)], 100)).toBe(1000);
    expect(quotaReachedAtMs([at(5, 5)], 100)).toBeUndefined();
  });
});

describe('failures', () => {
  it('are reported under codes that the service takes, whatever they are', () => {
    for (const code of Object.keys(errorCatalogue) as ErrorCode[])
      expect(sourceErrorCodes).toContain(sourceCodeOf(new LifeboatError(code, 'x')));
    for (const error of [new AgentError('SourceChanged', 'x', 'y'), new Error('x'), 'text', undefined])
      expect(sourceErrorCodes).toContain(sourceCodeOf(error));
    expect(sourceCodeOf(new LifeboatError('TrackingLost', 'x'))).toBe('TrackingLost');
    expect(sourceCodeOf(Object.assign(new Error('x'), { code: 'ENOSPC' }))).toBe('LowDiskSpace');
  });
});

it('an assertion says who, for whom and until when, once', () => {
  const key = {
    kty: 'OKP',
    crv: 'Ed25519',
    x: 'l2zbI3qlURgQI0FvWA-_NA9MCxrDr_p5FPf1NOHuzqg',
    d: 'X6MfNdVF6LVDv1pA7kBB7L7xQyfgsgBJ5zEfLh7Gf2w',
  } as const;
  const identity: Identity = {
    version: 1,
    serviceUrl: 's',
    hostName: 'h',
    key,
    hostId: 'id-1',
    tokenUrl: 't',
    site: 's',
  };
  const parts = (): Record<string, unknown>[] =>
    signAssertion(identity, new Date(1_800_000_000_000))
      .split('.')
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>);
  const [header, claims] = parts();
  expect(header).toEqual({ alg: 'EdDSA', kid: 'id-1' });
  expect(claims).toMatchObject({
    iss: 'id-1',
    sub: 'id-1',
    aud: 't',
    iat: 1_800_000_000,
    exp: 1_800_000_240,
  });
  expect(parts()[1]!['jti']).not.toBe(claims!['jti']);
});

describe('a folder of logs', () => {
  const log = (uniqueId: string, previousUniqueId?: string): Uint8Array =>
    buildHrl([{ diskOffset: 0, data: new Uint8Array(512) }], {
      ...{ uniqueId, createdAt: new Date() },
      ...(previousUniqueId === undefined ? {} : { previousUniqueId }),
    });

  it('gives closed logs in the order of their chain, whatever they are called', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.nat(1000), { minLength: 1, maxLength: 6 }),
        fc.nat(5),
        async (names, split) => {
          const path = join(folder, randomUUID());
          await mkdir(path);
          const ids = names.map(() => randomUUID());
          for (const [index, name] of names.entries())
            await writeFile(join(path, `${name}.hrl`), log(ids[index]!, ids[index - 1]));
          await writeFile(join(path, 'open.txt'), 'no log');
          const logs = await listClosedLogs(path);
          let previous: string | null = null;
          for (const id of ids) {
            const next = findNextLog(logs, previous);
            expect(next?.header.uniqueId).toBe(id);
            previous = id;
          }
          expect(findNextLog(logs, previous)).toBeUndefined();
          // Without one in the middle the chain is broken, and nobody guesses.
          const missing = split % ids.length;
          if (missing === 0 || missing === ids.length - 1) return;
          const broken = logs.filter(({ header }) => header.uniqueId !== ids[missing]);
          expect(() => findNextLog(broken, ids[missing - 1]!)).toThrow('is missing');
        },
      ),
      { numRuns: 20 },
    );
  });

  it('leaves a log that is still written, and says what is damaged', async () => {
    const whole = Buffer.from(log(randomUUID()));
    const open = Buffer.from(whole);
    const half = whole.subarray(0, whole.length - 100);
    await writeFile(join(folder, 'half.hrl'), half);
    expect(await listClosedLogs(folder)).toEqual([]);
    await writeFile(join(folder, 'half.hrl'), whole);
    expect(await listClosedLogs(folder)).toHaveLength(1);
    open[60] = (open[60] ?? 0) ^ 0xff;
    await writeFile(join(folder, 'half.hrl'), open);
    await expect(listClosedLogs(folder)).rejects.toThrow();
    expect((await readFile(join(folder, 'half.hrl'))).length).toBe(whole.length);
  });
});
