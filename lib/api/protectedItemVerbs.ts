// Failover verbs of protected items, and verbs of other scenarios.
import type * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { describeState } from '../protection/states.ts';
import type { Role } from '../auth/caller.ts';
import { notAvailable, operation, otherScenario } from './operation.ts';
import type { Operation } from './operation.ts';
import { itemPath as path } from './paths.ts';
import {
  applyRecoveryPointInput,
  plannedFailoverInput,
  reprotectInput,
  testFailoverCleanupInput,
  testFailoverInput,
  unplannedFailoverInput,
} from './protectedItemInput.ts';
import { getItemInPath, protectedItemModel } from './protectedItems.ts';

interface Later {
  id: string;
  segment: string;
  access: Role;
  body?: z.ZodType;
  /** What the item would have to be in; such a request is refused because of the state, which no item can be in yet. */
  needs?: string;
}

/** Verbs whose engine is not in this version. Everything about the request is checked, then it is refused. */
const later: readonly Later[] = [
  { id: 'TestFailover', segment: 'testFailover', access: 'Operator', body: testFailoverInput },
  {
    ...{ id: 'TestFailoverCleanup', segment: 'testFailoverCleanup', access: 'Operator' },
    ...{ body: testFailoverCleanupInput, needs: 'a test failover' },
  },
  { id: 'PlannedFailover', segment: 'plannedFailover', access: 'Owner', body: plannedFailoverInput },
  { id: 'UnplannedFailover', segment: 'unplannedFailover', access: 'Owner', body: unplannedFailoverInput },
  {
    ...{ id: 'ApplyRecoveryPoint', segment: 'applyRecoveryPoint', access: 'Owner' },
    ...{ body: applyRecoveryPointInput, needs: 'a failover that is not committed' },
  },
  { id: 'FailoverCommit', segment: 'failoverCommit', access: 'Owner', needs: 'a failover' },
  { id: 'FailoverCancel', segment: 'failoverCancel', access: 'Owner', needs: 'a planned failover' },
  {
    ...{ id: 'Reprotect', segment: 'reProtect', access: 'Owner' },
    ...{ body: reprotectInput, needs: 'a failback that is committed' },
  },
];

const laterOperations = later.map(({ id, segment, access, body, needs }): Operation =>
  operation<unknown>({
    ...{ id: `ReplicationProtectedItems_${id}`, verb: 'POST', path: `${path}/${segment}`, access },
    ...{ state: 'later', answers: 'job', answer: protectedItemModel, ...(body ? { body } : {}) },
    summary: `Checked, then refused: ${segment} needs the failover engine.`,
    handler: async (context, { params }) => {
      const { name, state } = await getItemInPath(context, params);
      if (needs === undefined) throw notAvailable(`${segment} of protected items`);
      const message = `${segment} needs ${needs}; protected item "${name}" has none (${describeState(state)}).`;
      throw new LifeboatError('OperationNotSupportedInState', message, { target: name });
    },
  }),
);

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
  ...laterOperations,
  ...foreign.map(([id, segment, reason]) =>
    otherScenario({
      ...{ id: `ReplicationProtectedItems_${id}`, verb: 'POST', path: `${path}/${segment}` },
      ...{ access: 'Operator', reason },
    }),
  ),
];
