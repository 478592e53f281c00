// Groups of operations that belong to VMware, physical machines, Azure-to-Azure and migration as a whole.
import { otherScenario } from './operation.ts';
import type { Operation, Verb } from './operation.ts';
import { containerPath, fabricPath } from './paths.ts';

type Foreign = readonly [method: string, verb: Verb, path: string];

const group = (name: string, reason: string, foreign: readonly Foreign[]): Operation[] =>
  foreign.map(([method, verb, path]) =>
    otherScenario({ id: `${name}_${method}`, verb, path, access: 'Reader', reason }),
  );

const migrationItems = `${containerPath}/replicationMigrationItems`;
const migrationItem = `${migrationItems}/{migrationItem}`;
const vCenters = `${fabricPath}/replicationvCenters`;
const migration = 'Migration items belong to agentless migration of VMware machines.';

export const otherScenarioOperations: Operation[] = [
  ...group('ReplicationAppliances', 'Appliances belong to VMware and physical machines.', [
    ['List', 'GET', '/replicationAppliances'],
  ]),
  ...group('ReplicationMigrationItems', migration, [
    ['List', 'GET', '/replicationMigrationItems'],
    ['ListByReplicationProtectionContainers', 'GET', migrationItems],
    ['Get', 'GET', migrationItem],
    ['Create', 'PUT', migrationItem],
    ['Delete', 'DELETE', migrationItem],
    ['Update', 'PATCH', migrationItem],
    ['Migrate', 'POST', `${migrationItem}/migrate`],
    ['PauseReplication', 'POST', `${migrationItem}/pauseReplication`],
    ['ResumeReplication', 'POST', `${migrationItem}/resumeReplication`],
    ['Resync', 'POST', `${migrationItem}/resync`],
    ['TestMigrate', 'POST', `${migrationItem}/testMigrate`],
    ['TestMigrateCleanup', 'POST', `${migrationItem}/testMigrateCleanup`],
  ]),
  ...group('MigrationRecoveryPoints', migration, [
    ['ListByReplicationMigrationItems', 'GET', `${migrationItem}/migrationRecoveryPoints`],
    ['Get', 'GET', `${migrationItem}/migrationRecoveryPoints/{point}`],
  ]),
  ...group('ReplicationProtectionIntents', 'Protection intents belong to Azure-to-Azure.', [
    ['List', 'GET', '/replicationProtectionIntents'],
    ['Get', 'GET', '/replicationProtectionIntents/{intent}'],
    ['Create', 'PUT', '/replicationProtectionIntents/{intent}'],
  ]),
  ...group('ReplicationvCenters', 'vCenter servers belong to VMware.', [
    ['List', 'GET', '/replicationvCenters'],
    ['ListByReplicationFabrics', 'GET', vCenters],
    ['Get', 'GET', `${vCenters}/{vcenter}`],
    ['Create', 'PUT', `${vCenters}/{vcenter}`],
    ['Delete', 'DELETE', `${vCenters}/{vcenter}`],
    ['Update', 'PATCH', `${vCenters}/{vcenter}`],
  ]),
  ...group('ReplicationEligibilityResultsOperations', 'Eligibility results belong to Azure-to-Azure.', [
    ['List', 'GET', eligibility()],
    ['Get', 'GET', `${eligibility()}/default`],
  ]).map((each): Operation => ({ ...each, scope: 'service' })),
];

/** The only paths of another provider's resource. */
function eligibility(): string {
  const machine =
    '/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{machine}';
  return `${machine}/providers/Microsoft.RecoveryServices/replicationEligibilityResults`;
}
