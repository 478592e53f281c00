// Lists of protected items.
import type * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import type { ItemRecord } from '../protection/item.ts';
import { listItemsFrom } from '../protection/itemStore.ts';
import { findStored } from '../vault/collection.ts';
import { plans } from '../vault/recoveryPlans.ts';
import { getContainer } from './containers.ts';
import { compileFilter } from './filter/filter.ts';
import type { Fields } from './filter/filter.ts';
import type { ApiContext, RoutedRequest } from './http.ts';
import { operation } from './operation.ts';
import type { Operation } from './operation.ts';
import { page } from './paging.ts';
import { containerPath } from './paths.ts';
import { itemBodies, itemBody } from './protectedItemBody.ts';
import { parseItemId } from './protectedItemIds.ts';
import { findQuery } from './query.ts';

/** What Site Recovery filters by and has a meaning here; fields of other scenarios have the value that they have for Hyper-V. */
function fieldsOf(plansByItem: ReadonlyMap<string, string[]>): Fields<ItemRecord> {
  const none = { kind: 'text', of: () => null } as const;
  return {
    sourceFabricName: { kind: 'text', of: ({ fabric }) => fabric },
    sourceFabricLocation: none,
    recoveryPlanName: { kind: 'text', of: ({ item }) => plansByItem.get(item) ?? [] },
    fabricObjectId: { kind: 'text', of: ({ machine }) => machine },
    instanceType: { kind: 'text', of: () => 'HyperVReplicaAzure' },
    vCenterName: none,
    multiVmGroupCreateOption: none,
    processServerId: none,
    friendlyName: { kind: 'text', of: ({ machineName }) => machineName },
    protectionState: { kind: 'text', of: ({ state }) => state },
  };
}

const fieldNames = Object.keys(fieldsOf(new Map())).join(', ');

/** Item → names of the plans that it stands in. Read only when a filter asks. */
async function plansByItem(context: ApiContext, filter: string): Promise<Map<string, string[]>> {
  const byItem = new Map<string, string[]>();
  const names = [...filter.matchAll(/recoveryPlanName\s+eq\s+'((?:[^']|'')*)'/gi)].map(([, name = '']) =>
    name.replaceAll("''", "'"),
  );
  for (const name of names.slice(0, 20)) {
    const plan =
      /[/\\#?]/.test(name) || name === ''
        ? undefined
        : await findStored(context.replication.storage.vault, plans, name);
    if (!plan)
      throw new LifeboatError('InvalidRequest', `Recovery plan "${name}" does not exist.`, {
        target: '$filter',
      });
    for (const { id } of plan.record.groups.flatMap((group) => group.replicationProtectedItems ?? [])) {
      const item = parseItemId(id, '$filter');
      byItem.set(item, [...(byItem.get(item) ?? []), plan.record.name]);
    }
  }
  return byItem;
}

async function listItems(context: ApiContext, request: RoutedRequest, container: string | undefined) {
  const text = findQuery(request.query, '$filter');
  const filter = compileFilter(
    text,
    fieldsOf(text === undefined ? new Map() : await plansByItem(context, text)),
  );
  const isInside = (record: ItemRecord) => container === undefined || record.container === container;
  const isPlain = filter === undefined && container === undefined;
  return page<ItemRecord>(context, request, {
    rows: async function* (after, limit) {
      for await (const value of listItemsFrom(context.replication.storage, { after, limit }))
        yield { key: value.item, value };
    },
    ...(isPlain ? {} : { matches: (record) => isInside(record) && (filter?.matches(record) ?? true) }),
    body: (record) => itemBody(context, record),
    bodies: (records) => itemBodies(context, records),
    usualTake: 20,
  });
}

export const protectedItemListOperations = (model: z.ZodType): Operation[] => [
  operation({
    ...{ id: 'ReplicationProtectedItems_List', verb: 'GET', path: '/replicationProtectedItems' },
    ...{ access: 'Reader', answers: 'page', answer: model, query: { $filter: fieldNames } },
    summary: 'Lists the protected items of the vault.',
    handler: (context, request) => listItems(context, request, undefined),
  }),
  operation({
    id: 'ReplicationProtectedItems_ListByReplicationProtectionContainers',
    ...{ verb: 'GET', path: `${containerPath}/replicationProtectedItems`, access: 'Reader' },
    ...{ answers: 'page', answer: model, query: { $filter: fieldNames } },
    summary: 'Lists the protected items of a container.',
    handler: async (context, request) =>
      listItems(context, request, (await getContainer(context, request.params)).container.name),
  }),
];
