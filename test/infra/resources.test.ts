// What `azd up` would deploy, checked on the compiler's evaluation of infra/.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { containerNames, tableNames } from '../../lib/storage/azure/names.ts';
import { complaints, missingCompiler, ofType, predictedResources, root, theOne } from './bicep.ts';

const plain = { environmentName: 'test', location: 'westeurope', adminKey: '0123456789abcdef0123' };
const accountType = 'Microsoft.Storage/storageAccounts';

describe.skipIf(missingCompiler !== undefined)('infra', () => {
  const resources = missingCompiler === undefined ? predictedResources(plain) : [];
  const privateResources =
    missingCompiler === undefined
      ? predictedResources({
          ...plain,
          vnetEnabled: true,
          alertEmail: 'operators@example.com',
          allowedIpRanges: '203.0.113.0/24, 198.51.100.7',
          principalId: '00000000-0000-0000-0000-00000000000d',
        })
      : [];

  it.each(['main.bicep', 'eventSubscription.bicep'])('%s compiles without a warning', (template) => {
    expect(complaints(template)).toBe('');
  });

  it('every resource has a pinned api-version, none of them a moving one', () => {
    for (const { type, apiVersion } of privateResources) {
      expect(apiVersion, type).toMatch(/^20\d\d-\d\d-\d\d(-preview)?$/);
      // Diagnostic settings have had no other version for years.
      if (type !== 'Microsoft.Insights/diagnosticSettings') expect(apiVersion, type).not.toContain('preview');
    }
  });

  it('both accounts: no key, no public blob, TLS 1.2, only https', () => {
    const accounts = ofType(resources, accountType);
    expect(accounts).toHaveLength(2);
    for (const { properties } of accounts) {
      expect(properties).toMatchObject({
        allowSharedKeyAccess: false,
        allowBlobPublicAccess: false,
        allowCrossTenantReplication: false,
        minimumTlsVersion: 'TLS1_2',
        supportsHttpsTrafficOnly: true,
      });
    }
  });

  it('the replica account has every container and table that the product uses', () => {
    const replica = theOne(resources, accountType, 'str').name;
    const containers = ofType(resources, `${accountType}/blobServices/containers`)
      .filter(({ name }) => name.startsWith(replica))
      .map(({ name, properties }) => {
        expect(properties).toMatchObject({ publicAccess: 'None' });
        return name.split('/').at(-1);
      });
    expect(containers.sort()).toEqual(Object.values(containerNames).sort());
    const tables = ofType(resources, `${accountType}/tableServices/tables`).map(({ name }) =>
      name.split('/').at(-1),
    );
    expect(tables.sort()).toEqual(Object.values(tableNames).sort());
  });

  it('deleted replicas can be brought back, and no rule deletes logs that wait', () => {
    const blobs = theOne(resources, `${accountType}/blobServices`, 'str').properties;
    expect(blobs).toMatchObject({
      deleteRetentionPolicy: { enabled: true, allowPermanentDelete: false },
      containerDeleteRetentionPolicy: { enabled: true },
    });
    const policy = theOne(resources, `${accountType}/managementPolicies`).properties as {
      policy: { rules: { definition: { filters: { prefixMatch: string[]; blobTypes: string[] } } }[] };
    };
    const prefixes = policy.policy.rules.flatMap(({ definition }) => definition.filters.prefixMatch);
    expect(prefixes).toEqual(['quarantine/', 'resync/']);
  });

  it('the app: https, Node 22, no passwords, package by identity', () => {
    const site = theOne(resources, 'Microsoft.Web/sites').properties;
    expect(site).toMatchObject({
      httpsOnly: true,
      siteConfig: { minTlsVersion: '1.2', scmMinTlsVersion: '1.2', ftpsState: 'Disabled' },
      functionAppConfig: {
        runtime: { name: 'node', version: '22' },
        deployment: { storage: { authentication: { type: 'UserAssignedIdentity' } } },
      },
    });
    const policies = ofType(resources, 'Microsoft.Web/sites/basicPublishingCredentialsPolicies');
    expect(policies.map(({ properties }) => properties?.['allow'])).toEqual([false, false]);
    expect(theOne(resources, 'Microsoft.Web/serverfarms')['sku']).toMatchObject({ name: 'FC1' });
  });

  it('logs and metrics are neither sent nor read with a key; the vault decides by roles', () => {
    expect(theOne(resources, 'Microsoft.Insights/components').properties).toMatchObject({
      DisableLocalAuth: true,
    });
    expect(theOne(resources, 'Microsoft.OperationalInsights/workspaces').properties).toMatchObject({
      features: { disableLocalAuth: true },
    });
    expect(theOne(resources, 'Microsoft.KeyVault/vaults').properties).toMatchObject({
      enableRbacAuthorization: true,
    });
    const logged = ofType(resources, 'Microsoft.Insights/diagnosticSettings').map(({ properties }) =>
      JSON.stringify(properties?.['logs']),
    );
    expect(logged.sort()).toEqual([
      expect.stringContaining('FunctionAppLogs'),
      expect.stringContaining('"audit"'),
    ]);
  });

  it('without the network option there is none, and everything answers', () => {
    expect(resources.filter(({ type }) => type.startsWith('Microsoft.Network/'))).toEqual([]);
    expect(theOne(resources, 'Microsoft.Web/sites').properties?.['virtualNetworkSubnetId']).toBeFalsy();
    for (const { properties } of ofType(resources, accountType))
      expect(properties).toMatchObject({
        publicNetworkAccess: 'Enabled',
        networkAcls: { defaultAction: 'Allow' },
      });
  });

  it('with the network option storage and vault have private endpoints for every service that is used', () => {
    const endpoints = ofType(privateResources, 'Microsoft.Network/privateEndpoints').map(({ name }) => name);
    for (const suffix of [
      'host-blob',
      'host-queue',
      'host-table',
      'replica-blob',
      'replica-queue',
      'replica-table',
      'vault',
    ])
      expect(endpoints.filter((name) => name.endsWith(`-${suffix}`))).toHaveLength(1);
    expect(ofType(privateResources, 'Microsoft.Network/privateDnsZones')).toHaveLength(4);
    expect(ofType(privateResources, 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups')).toHaveLength(
      7,
    );
    expect(theOne(privateResources, accountType, 'sth').properties).toMatchObject({
      publicNetworkAccess: 'Disabled',
    });
    expect(theOne(privateResources, accountType, 'str').properties).toMatchObject({
      publicNetworkAccess: 'Enabled',
      networkAcls: {
        bypass: 'AzureServices',
        defaultAction: 'Deny',
        ipRules: [{ value: '203.0.113.0/24' }, { value: '198.51.100.7' }],
      },
    });
    const site = theOne(privateResources, 'Microsoft.Web/sites').properties;
    expect(site?.['virtualNetworkSubnetId']).toContain('/subnets/app');
    const vnet = theOne(privateResources, 'Microsoft.Network/virtualNetworks').properties;
    expect(JSON.stringify(vnet)).toContain('Microsoft.App/environments');
  });

  it('private without ranges: nothing of the replica account or the vault is public', () => {
    const closed = predictedResources({ ...plain, vnetEnabled: true });
    for (const type of [accountType, 'Microsoft.KeyVault/vaults'])
      for (const { properties } of ofType(closed, type))
        expect(properties).toMatchObject({ publicNetworkAccess: 'Disabled' });
  });

  it('the events of uploads are subscribed to by the hook, not before the code exists', () => {
    expect(ofType(resources, 'Microsoft.EventGrid/systemTopics')).toHaveLength(1);
    expect(resources.filter(({ type }) => type.includes('eventSubscriptions'))).toEqual([]);
    const later = predictedResources({ appName: 'func-x', topicName: 'evgt-x' }, 'eventSubscription.bicep');
    const subscription = theOne(later, 'Microsoft.EventGrid/systemTopics/eventSubscriptions').properties;
    expect(subscription).toMatchObject({
      filter: {
        includedEventTypes: ['Microsoft.Storage.BlobCreated'],
        subjectBeginsWith: '/blobServices/default/containers/deltas/',
        advancedFilters: [{ key: 'data.api', values: ['PutBlob', 'PutBlockList', 'CopyBlob'] }],
      },
    });
    const trigger = readFileSync(join(root, 'functions', 'blob', 'deltaUploaded.ts'), 'utf8');
    const [, functionName = '?'] = /storageBlob\('(\w+)'/.exec(trigger) ?? [];
    const url = JSON.stringify(subscription);
    expect(url).toContain('/runtime/webhooks/blobs?functionName=Host.Functions.{1}&code={2}');
    expect(url).toContain(`defaultHostName, '${functionName}', listKeys(`);
    expect(url).toContain('systemKeys.blobs_extension');
  });

  it('everything carries the tag by which azd finds and removes it', () => {
    for (const group of ofType(resources, 'Microsoft.Resources/resourceGroups'))
      expect(group['tags']).toEqual({ 'azd-env-name': 'test' });
    expect(theOne(resources, 'Microsoft.Web/sites')['tags']).toMatchObject({ 'azd-service-name': 'api' });
  });
});
