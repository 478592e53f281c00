// Recovery points of a protected item, newest first.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import type { ItemRecord, RecoveryPointRecord } from '../protection/item.ts';
import { findRecoveryPoint, listRecoveryPoints } from '../protection/itemStore.ts';
import { resource } from './arm.ts';
import type { ApiContext } from './http.ts';
import { recoveryPointProperties } from './models/protectedItems.ts';
import { resourceOf } from './models/wire.ts';
import { operation } from './operation.ts';
import { itemPath } from './paths.ts';
import { pageOfAll } from './paging.ts';
import { itemSegments } from './protectedItemIds.ts';
import { getItemInPath } from './protectedItems.ts';

const path = `${itemPath}/recoveryPoints`;

/** Clients pass kinds that they do not know through untyped: here is room for what proves the point. */
const lifeboatDetails = z
  .strictObject({
    instanceType: z.literal('Lifeboat'),
    cycle: z.number(),
    recordedAt: z.string(),
    recoveryPointTimeSource: z.enum(['source', 'upload']),
    traceId: z.string().nullable(),
    multiVmMoment: z.string().nullable(),
    disks: z.array(z.strictObject({ diskId: z.string(), blobName: z.string(), snapshotId: z.string() })),
  })
  .meta({ id: 'LifeboatRecoveryPointDetails' });

const pointModel = resourceOf(
  'RecoveryPoint',
  recoveryPointProperties.extend({ providerSpecificDetails: lifeboatDetails }),
);

function pointBody({ settings }: ApiContext, record: ItemRecord, point: RecoveryPointRecord) {
  return resource(settings.vault, [...itemSegments(record), 'recoveryPoints', point.id], {
    recoveryPointTime: point.takenAt,
    recoveryPointType: point.consistency === 'application' ? 'ApplicationConsistent' : 'CrashConsistent',
    providerSpecificDetails: {
      instanceType: 'Lifeboat',
      cycle: point.cycle,
      recordedAt: point.recordedAt,
      recoveryPointTimeSource: point.takenAtFrom,
      traceId: point.traceId,
      multiVmMoment: point.moment,
      disks: point.disks.map(({ disk, snapshotId }) => ({
        ...{ diskId: disk, blobName: `${record.item}/${disk}.vhd`, snapshotId },
      })),
    },
  });
}

export const recoveryPointOperations = [
  operation({
    ...{ id: 'RecoveryPoints_ListByReplicationProtectedItems', verb: 'GET', path, access: 'Reader' },
    ...{ answers: 'page', answer: pointModel, summary: 'Lists the recovery points, newest first.' },
    handler: async (context, request) => {
      const record = await getItemInPath(context, request.params);
      const points: RecoveryPointRecord[] = [];
      for await (const point of listRecoveryPoints(context.replication.storage.items, record.item))
        points.push(point);
      return pageOfAll(context, request, {
        all: points,
        keyOf: ({ cycle }) => String(Number.MAX_SAFE_INTEGER - cycle).padStart(16, '0'),
        body: (point) => pointBody(context, record, point),
      });
    },
  }),
  operation({
    ...{ id: 'RecoveryPoints_Get', verb: 'GET', path: `${path}/{point}`, access: 'Reader' },
    ...{ answers: 'resource', answer: pointModel, summary: 'Shows a recovery point.' },
    handler: async (context, { params }) => {
      const record = await getItemInPath(context, params);
      const id = params['point'] ?? '';
      const { items } = context.replication.storage;
      const point = await findRecoveryPoint(items, record.item, id.toLowerCase());
      if (point) return { status: 200, body: pointBody(context, record, point) };
      const message = `Recovery point "${id.slice(0, 100)}" does not exist on "${record.name}".`;
      throw new LifeboatError('ResourceNotFound', message, { target: id.slice(0, 100) });
    },
  }),
];
