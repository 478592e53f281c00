// Precedence of settings, placeholders, secrets, and what an app may ask of a local host.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { applySettings, readSettingsFile, resolveSettings } from '../../../local/settings/appSettings.ts';
import { readHostConfig } from '../../../local/settings/hostConfig.ts';
import {
  parseLocalHostSection,
  readOrCreateSecrets,
  toInfo,
} from '../../../local/settings/localHostSection.ts';

let folder: string;
const folders: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'settings-'));
  folders.push(folder);
});
afterAll(() => {
  for (const path of folders) rmSync(path, { recursive: true });
});

const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);

describe('readSettingsFile', () => {
  it('reads local.settings.json, else its sample, else nothing', async () => {
    expect(await readSettingsFile(folder)).toEqual({ values: {}, cors: undefined });
    write('local.settings.sample.json', '{"Values":{"A":"sample"}}');
    expect((await readSettingsFile(folder)).values).toEqual({ A: 'sample' });
    write('local.settings.json', '\uFEFF{"Values":{"A":"own","N":1,"B":true}}');
    expect((await readSettingsFile(folder)).values).toEqual({ A: 'own', N: '1', B: 'true' });
  });

  it('reads the origins that browsers may call from', async () => {
    const origins = 'https://A.example/, http://localhost:5173';
    write('local.settings.json', JSON.stringify({ Host: { CORS: origins, CORSCredentials: true } }));
    expect((await readSettingsFile(folder)).cors).toEqual({
      origins: new Set(['https://a.example', 'http://localhost:5173']),
      allowsCredentials: true,
    });
  });

  it.each([
    ['{', 'is not valid JSON'],
    ['{"Values":"x"}', 'must be an object'],
    ['{"Values":{"A":null}}', 'The setting "A"'],
    ['{"Host":{"CORS":1}}', '"Host.CORS"'],
    ['{"Host":{"CORS":"localhost:80"}}', '"localhost:80" in "Host.CORS" of '],
    ['{"Host":{"CORS":"*","CORSCredentials":true}}', 'Name the origins'],
  ])('refuses %s', async (text, message) => {
    write('local.settings.json', text);
    await expect(readSettingsFile(folder)).rejects.toThrow(message);
  });
});

it('applySettings overrides nothing but development storage', () => {
  const environment: NodeJS.ProcessEnv = { A: 'env', D: 'UseDevelopmentStorage=true' };
  applySettings(environment, {
    fileValues: { A: 'file', B: 'file', E: 'UseDevelopmentStorage=true', F: 'x;UseDevelopmentStorage=true' },
    hostDefaults: { A: 'host', B: 'host', C: 'host' },
    storageConnectionString: 'real',
  });
  expect(environment).toEqual({
    A: 'env',
    B: 'file',
    C: 'host',
    D: 'real',
    E: 'real',
    F: 'x;UseDevelopmentStorage=true',
  });
});

it('resolveSettings replaces placeholders and names a missing setting', () => {
  expect(resolveSettings('a%X%/%Y%', { X: '1', Y: '' })).toBe('a1/');
  expect(() => resolveSettings('%MISSING%', {})).toThrow('%MISSING%');
});

describe('the localHost section', () => {
  it('may be missing, and is checked', () => {
    expect(parseLocalHostSection(undefined)).toEqual({ secrets: [], info: {} });
    expect(() => parseLocalHostSection({ secrets: 'KEY' })).toThrow('"localHost" of package.json');
  });

  it('makes each secret once', async () => {
    const file = join(folder, 'secrets.json');
    const first = await readOrCreateSecrets(file, ['A']);
    const second = await readOrCreateSecrets(file, ['A', 'B']);
    expect(Buffer.from(first['A'] ?? '', 'base64url')).toHaveLength(32);
    expect(second['A']).toBe(first['A']);
    expect(second['B']).not.toBe(first['A']);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(second);
    writeFileSync(file, '[]');
    await expect(readOrCreateSecrets(file, ['A'])).rejects.toThrow(file);
  });

  it('takes info from settings and templates', () => {
    const section = parseLocalHostSection({ info: { key: 'KEY', url: '%BASE%/x', none: 'NONE' } });
    expect(toInfo(section, { KEY: 'k', BASE: 'http://h' })).toEqual({ key: 'k', url: 'http://h/x' });
  });
});

describe('readHostConfig', () => {
  it('has the real host’s defaults', async () => {
    expect(await readHostConfig(folder)).toMatchObject({
      routePrefix: 'api',
      blobs: { poisonBlobThreshold: 5 },
      durableTask: { hubName: 'TestHubName' },
    });
  });

  it('takes what host.json says and ignores the rest', async () => {
    write(
      'host.json',
      '{"version":"2.0","extensions":{"http":{"routePrefix":""},"blobs":{"maxDegreeOfParallelism":3},"other":1}}',
    );
    expect(await readHostConfig(folder)).toMatchObject({
      routePrefix: '',
      blobs: { maxDegreeOfParallelism: 3 },
    });
  });

  it.each([
    ['{}', 1_800_000],
    ['{"functionTimeout":"00:00:01.5"}', 1500],
    ['{"functionTimeout":"1.02:03:04"}', 93_784_000],
    ['{"functionTimeout":"-1"}', undefined],
  ])('%s means a time limit of %s ms', async (text, expected) => {
    write('host.json', text);
    expect((await readHostConfig(folder)).functionTimeoutMs).toBe(expected);
  });

  it.each(['10', '00:00:00', '00:60:00', '-00:05:00', 'soon'])('refuses %s as a time limit', async (text) => {
    write('host.json', JSON.stringify({ functionTimeout: text }));
    await expect(readHostConfig(folder)).rejects.toThrow('functionTimeout');
  });

  it('names the member that is wrong', async () => {
    write('host.json', '{"extensions":{"blobs":{"poisonBlobThreshold":0}}}');
    await expect(readHostConfig(folder)).rejects.toThrow('extensions.blobs.poisonBlobThreshold');
  });
});
