// The settings of the deployed app against the ones that the code and the local sample know.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { settingNames } from '../../functions/settings.ts';
import { missingCompiler, predictedResources, root, theOne } from './bicep.ts';

const sample = JSON.parse(readFileSync(join(root, 'local.settings.sample.json'), 'utf8')) as {
  Values: Record<string, string>;
};

describe.skipIf(missingCompiler !== undefined)('app settings', () => {
  const resources =
    missingCompiler === undefined
      ? predictedResources({
          environmentName: 'test',
          location: 'westeurope',
          adminKey: 'the-key-of-this-test',
          extraSettings: { LIFEBOAT_VERIFY: 'readback' },
        })
      : [];
  const settings = (): Record<string, string> =>
    theOne(resources, 'Microsoft.Web/sites/config').properties as Record<string, string>;

  // Flex Consumption keeps the runtime in functionAppConfig; storage is reached by identity, not by connection string; machines
  // are made in Azure and not booted inside the app.
  const elsewhere = new Set([
    ...['FUNCTIONS_WORKER_RUNTIME', 'AzureWebJobsStorage', 'LIFEBOAT_STORAGE'],
    ...['LIFEBOAT_QEMU', 'LIFEBOAT_QEMU_FOLDER', 'LIFEBOAT_QEMU_MEMORY_MB'],
  ]);

  it('every setting that the code or the sample knows is set', () => {
    const known = new Set([...settingNames, ...Object.keys(sample.Values)]);
    const missing = [...known].filter((name) => !elsewhere.has(name) && settings()[name] === undefined);
    expect(missing, 'add them to infra/modules/functionApp.bicep').toEqual([]);
  });

  it('both accounts are reached by identity alone', () => {
    for (const connection of ['AzureWebJobsStorage', 'LIFEBOAT_STORAGE']) {
      expect(settings()[connection]).toBeUndefined();
      expect(settings()[`${connection}__credential`]).toBe('managedidentity');
      expect(settings()[`${connection}__clientId`]).toContain('.clientId');
      for (const service of ['blob', 'queue'])
        expect(settings()[`${connection}__${service}ServiceUri`]).toContain(`primaryEndpoints.${service}`);
    }
  });

  it('has none that Flex Consumption refuses', () => {
    for (const name of [
      'FUNCTIONS_WORKER_RUNTIME',
      'FUNCTIONS_EXTENSION_VERSION',
      'WEBSITE_RUN_FROM_PACKAGE',
      'WEBSITE_NODE_DEFAULT_VERSION',
      'WEBSITE_TIME_ZONE',
      'SCM_DO_BUILD_DURING_DEPLOYMENT',
    ])
      expect(settings()).not.toHaveProperty(name);
  });

  it('carries no secret: the key is a reference to the vault, and shows up nowhere else', () => {
    expect(settings()['LIFEBOAT_ADMIN_KEY']).toContain('@Microsoft.KeyVault(SecretUri=');
    const holders = resources.filter((resource) =>
      JSON.stringify(resource).includes("parameters('adminKey')"),
    );
    expect(holders.map(({ type }) => type)).toEqual(['Microsoft.KeyVault/vaults/secrets']);
  });

  it('extraSettings win', () => {
    expect(settings()['LIFEBOAT_VERIFY']).toBe('readback');
  });
});
