// Events: what happened, newest first.
import { LifeboatError } from '../errors.ts';
import { findEvent, listEvents } from '../events/events.ts';
import type { EventRecord } from '../events/events.ts';
import { resource, resourceId } from './arm.ts';
import { compileFilter } from './filter/filter.ts';
import type { Fields } from './filter/filter.ts';
import type { ApiContext } from './http.ts';
import { eventProperties } from './models/jobs.ts';
import { resourceOf } from './models/wire.ts';
import { newestFirst } from './newestFirst.ts';
import { operation } from './operation.ts';
import { page } from './paging.ts';
import { findQuery } from './query.ts';

const eventModel = resourceOf('Event', eventProperties);

const fields: Fields<EventRecord> = {
  EventCode: { kind: 'text', of: ({ eventCode }) => eventCode },
  Severity: { kind: 'text', of: ({ severity }) => severity },
  EventType: { kind: 'text', of: ({ eventType }) => eventType },
  FabricName: { kind: 'text', of: ({ fabric }) => fabric },
  AffectedObjectFriendlyName: { kind: 'text', of: ({ objectName }) => objectName },
  AffectedObjectCorrelationId: { kind: 'text', of: ({ objectId }) => objectId },
  StartTime: { kind: 'time', bound: 'from', of: ({ at }) => at },
  EndTime: { kind: 'time', bound: 'until', of: ({ at }) => at },
};

function eventBody({ settings }: ApiContext, event: EventRecord) {
  return resource(settings.vault, ['replicationEvents', event.id], {
    eventCode: event.eventCode,
    description: event.description,
    eventType: event.eventType,
    affectedObjectFriendlyName: event.objectName,
    affectedObjectCorrelationId: event.objectId,
    severity: event.severity,
    timeOfOccurrence: event.at,
    fabricId: event.fabric === null ? null : resourceId(settings.vault, 'replicationFabrics', event.fabric),
    providerSpecificDetails:
      event.fabric === null ? null : { instanceType: 'HyperVReplicaAzure', fabricName: event.fabric },
    eventSpecificDetails:
      event.jobId === null
        ? null
        : {
            ...{ instanceType: 'JobStatus', jobId: event.jobId, jobFriendlyName: event.eventCode },
            ...{ jobStatus: event.jobStatus, affectedObjectType: 'ProtectionEntity' },
          },
    healthErrors: [],
  });
}

export const eventOperations = [
  operation({
    ...{ id: 'ReplicationEvents_List', verb: 'GET', path: '/replicationEvents', access: 'Reader' },
    ...{ answers: 'page', answer: eventModel, query: { $filter: Object.keys(fields).join(', ') } },
    summary: 'Lists the events, newest first.',
    handler: async (context, request) => {
      const filter = compileFilter(findQuery(request.query, '$filter'), fields);
      const { jobs } = context.replication.storage;
      return page(context, request, {
        rows: newestFirst((from) => listEvents(jobs, from), filter),
        ...(filter ? { matches: filter.matches } : {}),
        body: (event) => eventBody(context, event),
      });
    },
  }),
  operation({
    ...{ id: 'ReplicationEvents_Get', verb: 'GET', path: '/replicationEvents/{event}', access: 'Reader' },
    ...{ summary: 'Shows an event.', answers: 'resource', answer: eventModel },
    handler: async (context, { params }) => {
      const id = (params['event'] ?? '').toLowerCase();
      const isId = /^[0-9a-f-]{36}$/.test(id);
      const event = isId ? await findEvent(context.replication.storage.jobs, id) : undefined;
      if (event) return { status: 200, body: eventBody(context, event) };
      const message = `Event "${id.slice(0, 100)}" does not exist.`;
      throw new LifeboatError('ResourceNotFound', message, { target: id.slice(0, 100) });
    },
  }),
];
