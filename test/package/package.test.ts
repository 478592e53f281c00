// The folder that is deployed: what is in it, that two builds are the same, and that it does the product's job where nothing
// of this repository can be found: a machine is protected and its recovery point equals the disk.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { startHost, temporaryFolder } from '../host/startHost.ts';
import { SourceHost } from '../e2e/client.ts';
import type { Service } from '../e2e/client.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string): string => readFileSync(path, 'utf8');

function build(folder: string) {
  const args = [join(root, 'scripts', 'package.mjs'), folder, '--skip-load'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: root });
  const [, digest] = /sha256 of the package: ([0-9a-f]{64})/.exec(stdout) ?? [];
  return { status, stderr, digest };
}

interface Component {
  name: string;
  version: string;
  purl: string;
  licenses: { license: { id: string } }[];
  hashes: { alg: string; content: string }[];
}

describe('the package', () => {
  const folder = join(temporaryFolder(), 'app');
  let first: ReturnType<typeof build>;
  beforeAll(() => (first = build(folder)));

  it('passes its checks, and a second build has the same bytes', () => {
    expect(first).toMatchObject({ status: 0, stderr: '' });
    expect(build(join(temporaryFolder(), 'elsewhere')).digest).toBe(first.digest);
  });

  it('is refused with a file that does not belong there or a secret', async () => {
    const { problemsOf } = (await import(join(root, 'scripts', 'package', 'checks.mjs'))) as {
      problemsOf: (folder: string) => string[];
    };
    expect(problemsOf(folder)).toEqual([]);
    const other = temporaryFolder();
    writeFileSync(join(other, 'local.settings.json'), '{}');
    writeFileSync(join(other, 'host.json'), `AccountKey=${randomBytes(64).toString('base64')}`);
    expect(problemsOf(other)).toEqual([
      expect.stringContaining('host.json holds a secret'),
      'local.settings.json does not belong into the package',
    ]);
  });

  it('needs nothing that is not in it', () => {
    const manifest = JSON.parse(read(join(folder, 'package.json'))) as Record<string, unknown>;
    for (const field of ['dependencies', 'devDependencies', 'scripts', 'overrides'])
      expect(manifest).not.toHaveProperty(field);
    expect(manifest['main']).toBe('app/index.mjs');
    expect(JSON.parse(read(join(folder, 'host.json')))).toEqual(JSON.parse(read(join(root, 'host.json'))));
  });

  it('has a bill of materials with version, licence and the hash of the lockfile of every package', () => {
    const bill = JSON.parse(read(join(folder, 'sbom.cdx.json'))) as Record<string, unknown> & {
      components: Component[];
    };
    expect(bill).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 });
    expect(bill['serialNumber']).toMatch(/^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    const lock = JSON.parse(read(join(root, 'package-lock.json'))) as {
      packages: Record<string, { version: string; integrity?: string }>;
    };
    const locked = new Map(
      Object.entries(lock.packages).map(([path, { version, integrity = '' }]) => [
        `${path.replace(/^.*node_modules\//, '')}@${version}`,
        integrity,
      ]),
    );
    expect(bill.components.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        '@azure/functions',
        '@azure/storage-blob',
        'durable-functions',
        'zod',
      ]) as string[],
    );
    for (const { name, version, purl, hashes, licenses } of bill.components) {
      expect(purl).toBe(`pkg:npm/${name.replace('@', '%40')}@${version}`);
      const integrity = Buffer.from(hashes[0]?.content ?? '', 'hex').toString('base64');
      expect(`sha512-${integrity}`).toBe(locked.get(`${name}@${version}`));
      expect(licenses[0]?.license.id).toMatch(/^[\w.-]+$/);
      expect(read(join(folder, 'THIRD-PARTY-LICENSES.txt'))).toContain(`${name} ${version} (`);
    }
  });

  it('protects a machine in a host that finds nothing but the package', async () => {
    const { Values } = JSON.parse(read(join(root, 'local.settings.sample.json'))) as {
      Values: Record<string, string>;
    };
    const env = Object.fromEntries(Object.entries(Values).filter(([, value]) => value !== ''));
    const host = await startHost({ app: folder, args: ['--strict'], env });
    const source = new SourceHost(host.local as unknown as Service);
    const disk = randomBytes(2 ** 21);
    const item = await source.protect('vm-1', { os: disk.length });
    await source.replicate('vm-1', { os: disk });
    const data = randomBytes(4096);
    disk.set(data, 8192);
    await source.putLog('vm-1/000000000001/os.hrl', source.cutLog('vm-1', 'os', [{ offset: 8192, data }]));
    const [point] = await source.awaitPoints(item, 1);
    expect((await source.recover(point!, 'os', disk.length)).equals(disk)).toBe(true);
    const scrape = (key: string) =>
      fetch(`${host.url}/metrics`, { headers: { authorization: `Bearer ${key}` } });
    expect((await scrape('wrong')).status).toBe(401);
    const scraped = await scrape(source.service.adminKey);
    expect(scraped.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const lines = await scraped.text();
    expect(lines).toMatch(/^lifeboat_rpo_seconds\{item="vm-1"\} [\d.]+$/m);
    expect(lines).toMatch(/^lifeboat_merge_bytes_total 4096$/m);
    expect(lines).toMatch(/^lifeboat_cycle_latency_seconds_count 1$/m);
    expect(await host.stop()).toBe(0);
    expect(readdirSync(folder).sort()).toEqual(
      ['LICENSE', 'THIRD-PARTY-LICENSES.txt', 'app', 'host.json', 'package.json', 'sbom.cdx.json'].sort(),
    );
  });

  it('does not start without its settings, and says which', async () => {
    const started = startHost({
      app: folder,
      env: { LIFEBOAT_RECONCILE_SCHEDULE: '0 * * * * *', LIFEBOAT_TICK_SCHEDULE: '0 * * * * *' },
    });
    await expect(started).rejects.toThrow(/LIFEBOAT_VAULT_ID is missing. Set it to/);
  });
});
