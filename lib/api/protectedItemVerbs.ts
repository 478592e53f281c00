// Verbs of protected items: those of failover, and those of other scenarios.
import { failoverVerbOperations } from './failoverVerbs.ts';
import { otherScenario } from './operation.ts';
import type { Operation } from './operation.ts';
import { itemPath as path } from './paths.ts';

const vmware = (what: string) => `${what} belongs to VMware and physical machines.`;

const foreign: readonly [id: string, segment: string, reason: string][] = [
  [
    'AddDisks',
    'addDisks',
    'addDisks is the Azure-to-Azure verb; add a disk with PUT /lifeboat/v1/items/{item}/disks/{disk}.',
  ],
  [
    'RemoveDisks',
    'removeDisks',
    'removeDisks is the Azure-to-Azure verb; remove a disk with DELETE /lifeboat/v1/items/{item}/disks/{disk}.',
  ],
  ['SwitchProvider', 'switchProvider', vmware('Switching the provider')],
  ['UpdateAppliance', 'updateAppliance', vmware('The appliance')],
  ['UpdateMobilityService', 'updateMobilityService', vmware('The mobility service')],
];

export const protectedItemVerbOperations: Operation[] = [
  ...failoverVerbOperations,
  ...foreign.map(([id, segment, reason]) =>
    otherScenario({
      ...{ id: `ReplicationProtectedItems_${id}`, verb: 'POST', path: `${path}/${segment}` },
      ...{ access: 'Operator', reason },
    }),
  ),
];
