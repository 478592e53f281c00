// Who may do what after `azd up`: every role, by the id that Azure publishes, and the resource it is given on.
import { describe, expect, it } from 'vitest';
import { resourceTypes } from '../../lib/compute/machineResources.ts';
import { missingCompiler, ofType, predictedResources, subscription, theOne } from './bicep.ts';

const builtInRoles: Record<string, string> = {
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b': 'Storage Blob Data Owner',
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe': 'Storage Blob Data Contributor',
  '974c5e8b-45b9-4653-ba55-5f855dd0fb88': 'Storage Queue Data Contributor',
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3': 'Storage Table Data Contributor',
  '3913510d-42f4-4e42-8a64-420c390055eb': 'Monitoring Metrics Publisher',
  '4633458b-17de-408a-b874-0445c86b69e6': 'Key Vault Secrets User',
};
const deployer = '00000000-0000-0000-0000-00000000000d';

describe.skipIf(missingCompiler !== undefined)('roles', () => {
  const resources =
    missingCompiler === undefined
      ? predictedResources({
          environmentName: 'test',
          location: 'westeurope',
          adminKey: '0123456789abcdef0123',
          principalId: deployer,
        })
      : [];
  const recoveryRole = () => theOne(resources, 'Microsoft.Authorization/roleDefinitions');

  /** `<who> is <role> on <type or name of what>`, for every assignment. */
  const assignments = (): string[] =>
    ofType(resources, 'Microsoft.Authorization/roleAssignments').map(({ id, properties }) => {
      const { principalId, roleDefinitionId } = properties as {
        principalId: string;
        roleDefinitionId: string;
      };
      const who =
        principalId === deployer ? 'deployer' : /userAssignedIdentities\/id-/.test(principalId) ? 'app' : '?';
      const roleId = roleDefinitionId.split('/').at(-1) ?? '';
      const role = roleId === recoveryRole().name ? 'Lifeboat recovery' : builtInRoles[roleId];
      const [, group = '?'] = /(rg-test[\w-]*)/.exec(id) ?? [];
      const isOnGroup = id.startsWith("[resourceId('");
      const on = /providers\/(Microsoft\.(?!Authorization)[\w/.]+\/\w{2,4}-?)\w{13}/.exec(id)?.[1] ?? '?';
      return `${who} is ${role ?? roleId} on ${isOnGroup ? group : `${group}/${on}`}`;
    });

  it('are these and no others', () => {
    const host = 'rg-test/Microsoft.Storage/storageAccounts/sth';
    const replica = 'rg-test/Microsoft.Storage/storageAccounts/str';
    expect(assignments().sort()).toEqual(
      [
        `app is Storage Blob Data Owner on ${host}`,
        `app is Storage Queue Data Contributor on ${host}`,
        `app is Storage Table Data Contributor on ${host}`,
        `app is Storage Blob Data Contributor on ${replica}`,
        `app is Storage Queue Data Contributor on ${replica}`,
        `app is Storage Table Data Contributor on ${replica}`,
        'app is Monitoring Metrics Publisher on rg-test/Microsoft.Insights/components/appi-',
        'app is Key Vault Secrets User on rg-test/Microsoft.KeyVault/vaults/kv-',
        'app is Lifeboat recovery on rg-test-recovery',
        'deployer is Key Vault Secrets User on rg-test/Microsoft.KeyVault/vaults/kv-',
      ].sort(),
    );
  });

  it('the recovery role ends at its group and has no wildcard, no data, no rights over others', () => {
    const { assignableScopes, permissions } = recoveryRole().properties as {
      assignableScopes: string[];
      permissions: { actions: string[]; dataActions: string[] }[];
    };
    expect(assignableScopes).toEqual([`/subscriptions/${subscription}/resourceGroups/rg-test-recovery`]);
    const [permission] = permissions;
    expect(permissions).toHaveLength(1);
    expect(permission?.dataActions).toEqual([]);
    // What the provider makes it must be able to look at and to remove.
    for (const { type } of Object.values(resourceTypes))
      for (const verb of ['read', 'write', 'delete'])
        expect(permission?.actions).toContain(`${type}/${verb}`);
    // What a failback asks for beside that: a snapshot of a disk, read under a URL that is taken back.
    for (const action of [
      ...['disks/beginGetAccess', 'snapshots/beginGetAccess', 'snapshots/endGetAccess'],
      ...[
        'virtualMachines/start',
        'virtualMachines/deallocate',
        'virtualMachines/retrieveBootDiagnosticsData',
      ],
    ])
      expect(permission?.actions).toContain(`Microsoft.Compute/${action}/action`);
    for (const action of permission?.actions ?? []) {
      expect(action).not.toContain('*');
      expect(action).toMatch(/^Microsoft\.(Compute|Network|Resources)\//);
      expect(action).not.toMatch(/runCommand|extensions|listKeys|roleAssignments|login/i);
    }
  });
});
