import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSettings, settingNames, unknownSettings } from '../../../functions/settings.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const valid = {
  LIFEBOAT_STORAGE: 'UseDevelopmentStorage=true',
  LIFEBOAT_VAULT_ID: '/subscriptions/s/resourceGroups/g/providers/Microsoft.RecoveryServices/vaults/v',
  LIFEBOAT_ADMIN_KEY: '0123456789abcdef',
  LIFEBOAT_PUBLIC_URL: 'http://127.0.0.1:7071',
  LIFEBOAT_RECONCILE_SCHEDULE: '0 * * * * *',
  LIFEBOAT_TICK_SCHEDULE: '30 * * * * *',
};
const withoutStorage = Object.fromEntries(
  Object.entries(valid).filter(([name]) => name !== 'LIFEBOAT_STORAGE'),
);

const messageOf = (environment: Record<string, string | undefined>): string => {
  try {
    readSettings(environment);
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};

describe('readSettings', () => {
  it('fills in defaults', () => {
    expect(readSettings(valid)).toMatchObject({ LIFEBOAT_UPLOAD_URL_MINUTES: 60, LIFEBOAT_VERIFY: 'none' });
  });

  it('takes an account and an identity instead of a connection string', () => {
    const identity = {
      LIFEBOAT_STORAGE__accountName: 'strx',
      LIFEBOAT_STORAGE__clientId: '11111111-2222-4333-8444-555555555555',
    };
    expect(readSettings({ ...withoutStorage, ...identity })).toMatchObject(identity);
  });

  it.each(Object.keys(withoutStorage))(
    'names %s when it is missing or empty, and says what to set',
    (name) => {
      for (const value of [undefined, ''])
        expect(messageOf({ ...valid, [name]: value })).toMatch(
          new RegExp(`${name} is missing. Set it to .{10}`),
        );
    },
  );

  it('names both ways to storage when there is none', () => {
    expect(messageOf(withoutStorage)).toMatch(/LIFEBOAT_STORAGE is missing.*LIFEBOAT_STORAGE__accountName/);
  });

  it.each([
    ['LIFEBOAT_VAULT_ID', '/subscriptions/s'],
    ['LIFEBOAT_ADMIN_KEY', 'too-short'],
    ['LIFEBOAT_PUBLIC_URL', 'ftp://x'],
    ['LIFEBOAT_UPLOAD_URL_MINUTES', '4'],
    ['LIFEBOAT_UPLOAD_URL_MINUTES', 'an hour'],
    ['LIFEBOAT_RESYNCS_AT_ONCE', '0'],
    ['LIFEBOAT_SCRATCH_MB', '-1'],
    ['LIFEBOAT_JOB_RETENTION_DAYS', '1.5'],
    ['LIFEBOAT_VERIFY', 'always'],
    ['LIFEBOAT_RECONCILE_SCHEDULE', '* * * * *'],
    ['LIFEBOAT_STORAGE', 'DefaultEndpointsProtocol=https'],
    ['LIFEBOAT_STORAGE__accountName', 'https://strx.blob.core.windows.net'],
    ['LIFEBOAT_STORAGE__clientId', 'me'],
  ])('refuses %s=%s, says what it must be and never its value', (name, value) => {
    const message = messageOf({ ...valid, [name]: value });
    expect(message).toMatch(new RegExp(`${name} is wrong. It must be .{4}`));
    if (name === 'LIFEBOAT_ADMIN_KEY') expect(message).not.toContain(value);
  });

  it('tells of all problems at once', () => {
    const message = messageOf({ ...valid, LIFEBOAT_VERIFY: 'x', LIFEBOAT_ADMIN_KEY: '' });
    expect(message).toContain('LIFEBOAT_VERIFY');
    expect(message).toContain('LIFEBOAT_ADMIN_KEY');
  });

  it('does not take an unresolved Key Vault reference for a key', () => {
    const reference = '@Microsoft.KeyVault(SecretUri=https://kv.vault.azure.net/secrets/k)';
    expect(messageOf({ ...valid, LIFEBOAT_ADMIN_KEY: reference })).toContain('was not resolved');
  });
});

describe('unknownSettings', () => {
  it('finds misspelt names, and lets those of the host pass', () => {
    const environment = { ...valid, LIFEBOAT_VERFIY: 'x', LIFEBOAT_STORAGE__credential: 'managedidentity' };
    expect(unknownSettings({ ...environment, PATH: '/bin' })).toEqual(['LIFEBOAT_VERFIY']);
  });
});

describe('documents', () => {
  it.each(['docs/settings.md', 'local.settings.sample.json'])('%s has every setting', (file) => {
    const text = readFileSync(join(root, file), 'utf8');
    // A local run reaches its storage with a connection string alone, and makes no machines in Azure.
    const elsewhere = /^LIFEBOAT_(STORAGE__|STORAGE_ID$|COMPUTE_LOCATION$|ARM_ENDPOINT$|QEMU)/;
    const expected = file.endsWith('.json')
      ? settingNames.filter((name) => !elsewhere.test(name))
      : settingNames;
    for (const name of expected) expect(text).toContain(name);
  });
});
