// The failover verbs of protected items, in Site Recovery's words.
import type { JobRecord } from '../jobs/job.ts';
import type { ItemRecord } from '../protection/item.ts';
import { LifeboatError } from '../errors.ts';
import { startCancel, startChangePoint, startCommit } from '../recovery/afterFailover.ts';
import type { PointSelector } from '../recovery/choosePoint.ts';
import { startFailback, startReverse } from '../recovery/failback.ts';
import { startFailover } from '../recovery/failover.ts';
import { startTestCleanup, startTestFailover } from '../recovery/testFailover.ts';
import type { Role } from '../auth/caller.ts';
import { nameInId } from './arm.ts';
import type { ApiContext, ApiResponse, RoutedRequest } from './http.ts';
import { operation } from './operation.ts';
import type { Definition, Operation } from './operation.ts';
import { itemPath } from './paths.ts';
import {
  applyRecoveryPointInput,
  plannedFailoverInput,
  reprotectInput,
  testFailoverCleanupInput,
  testFailoverInput,
  unplannedFailoverInput,
} from './protectedItemInput.ts';
import { acceptedFor, getItemInPath, protectedItemModel } from './protectedItems.ts';

/** No id = the latest data, merged first. */
function selectorOf(recoveryPointId: string | null | undefined): PointSelector {
  return recoveryPointId
    ? { kind: 'point', id: nameInId(recoveryPointId, 'recoveryPoints') }
    : { kind: 'latest' };
}

function requireToRecovery(direction: string | null | undefined, verb: string): void {
  if (direction !== 'RecoveryToPrimary') return;
  const message = `${verb} goes from primary to recovery; the way back is plannedFailover with RecoveryToPrimary.`;
  throw new LifeboatError('InvalidRequest', message, { target: 'properties.failoverDirection' });
}

interface VerbAbout {
  id: string;
  segment: string;
  access: Role;
  summary: string;
}

type Begin<B> = (context: ApiContext, record: ItemRecord, body: B) => Promise<JobRecord>;

/** A verb that begins a job on the item; 202, and the job's result is the item. */
function verb<B>(
  { id, segment, access, summary }: VerbAbout,
  body: Definition<B>['body'],
  begin: Begin<B>,
): Operation {
  return operation<B>({
    ...{ id: `ReplicationProtectedItems_${id}`, verb: 'POST', path: `${itemPath}/${segment}`, access },
    ...{ answers: 'job', answer: protectedItemModel, summary, ...(body ? { body } : {}) },
    handler: async (context: ApiContext, request: RoutedRequest & { body: B }): Promise<ApiResponse> => {
      const record = await getItemInPath(context, request.params);
      return acceptedFor(context, request, { job: await begin(context, record, request.body), record });
    },
  });
}

export const failoverVerbOperations: Operation[] = [
  verb(
    {
      ...{ id: 'TestFailover', segment: 'testFailover', access: 'Operator' },
      summary: 'Makes an isolated machine of a recovery point; replication goes on.',
    },
    testFailoverInput,
    ({ replication, orchestrations }, { item }, { properties }) => {
      requireToRecovery(properties.failoverDirection, 'testFailover');
      const isAttached = properties.networkType !== 'NoNetworkAttachAsInput';
      return startTestFailover(replication, orchestrations, {
        item,
        selector: selectorOf(properties.providerSpecificDetails?.recoveryPointId),
        networkId: isAttached ? (properties.networkId ?? null) : null,
      });
    },
  ),
  verb(
    {
      ...{ id: 'TestFailoverCleanup', segment: 'testFailoverCleanup', access: 'Operator' },
      summary: 'Removes the machine and the disks of the test failover.',
    },
    testFailoverCleanupInput,
    ({ replication, orchestrations }, { item }, { properties }) =>
      startTestCleanup(replication, orchestrations, item, properties.comments ?? ''),
  ),
  verb(
    {
      ...{ id: 'PlannedFailover', segment: 'plannedFailover', access: 'Owner' },
      summary: 'Shuts the source down and fails over without loss; the other way: fails back.',
    },
    plannedFailoverInput,
    ({ replication, orchestrations }, { item }, { properties }) => {
      const details = properties.providerSpecificDetails;
      const isBack =
        properties.failoverDirection === 'RecoveryToPrimary' ||
        details?.instanceType === 'HyperVReplicaAzureFailback';
      return isBack
        ? startFailback(replication, orchestrations, {
            item,
            syncsFirst:
              details?.instanceType === 'HyperVReplicaAzureFailback' &&
              details.dataSyncOption !== 'ForDownTime',
          })
        : startFailover(replication, orchestrations, { item, kind: 'planned' });
    },
  ),
  verb(
    {
      ...{ id: 'UnplannedFailover', segment: 'unplannedFailover', access: 'Owner' },
      summary: 'Fails over to a recovery point, whatever has become of the source.',
    },
    unplannedFailoverInput,
    ({ replication, orchestrations }, { item }, { properties }) => {
      requireToRecovery(properties.failoverDirection, 'unplannedFailover');
      return startFailover(replication, orchestrations, {
        ...{ item, kind: 'unplanned' },
        selector: selectorOf(properties.providerSpecificDetails?.recoveryPointId),
        asksSource: properties.sourceSiteOperations === 'Required',
      });
    },
  ),
  verb(
    {
      ...{ id: 'ApplyRecoveryPoint', segment: 'applyRecoveryPoint', access: 'Owner' },
      summary: 'Makes the failed-over machine again from another recovery point.',
    },
    applyRecoveryPointInput,
    ({ replication, orchestrations }, { item }, { properties }) => {
      const id = properties.recoveryPointId;
      if (id) return startChangePoint(replication, orchestrations, item, nameInId(id, 'recoveryPoints'));
      throw new LifeboatError('InvalidRequest', 'recoveryPointId is missing.', {
        target: 'properties.recoveryPointId',
      });
    },
  ),
  verb<undefined>(
    {
      ...{ id: 'FailoverCommit', segment: 'failoverCommit', access: 'Owner' },
      summary: 'Makes a failover final; its other recovery points go.',
    },
    undefined,
    ({ replication, orchestrations }, { item }) => startCommit(replication, orchestrations, item),
  ),
  verb<undefined>(
    {
      ...{ id: 'FailoverCancel', segment: 'failoverCancel', access: 'Owner' },
      summary: 'Undoes a failover that is not committed.',
    },
    undefined,
    ({ replication, orchestrations }, { item }) => startCancel(replication, orchestrations, item),
  ),
  verb(
    {
      ...{ id: 'Reprotect', segment: 'reProtect', access: 'Owner' },
      summary: 'After a failback: replication goes its old way again, without a new initial replication.',
    },
    reprotectInput,
    ({ replication, orchestrations }, { item }) => startReverse(replication, orchestrations, item),
  ),
];
