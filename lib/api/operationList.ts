// The operations list of the provider, as Azure's clients read it: what there is to grant and to show.
import * as z from 'zod';
import { operation } from './operation.ts';
import type { Operation } from './operation.ts';
import { pageOfAll } from './paging.ts';

const provider = 'Microsoft.RecoveryServices';

const discovery = z
  .strictObject({
    name: z.string(),
    display: z.strictObject({
      provider: z.string(),
      resource: z.string(),
      operation: z.string(),
      description: z.string(),
    }),
    origin: z.string(),
    properties: z.null(),
  })
  .meta({ id: 'OperationsDiscovery' });

/** `vaults/replicationFabrics/…/read`: the types on the way, then what is done. */
function actionOf({ verb, path }: Operation): string {
  const types = path.split('/').filter((segment) => segment !== '' && !segment.startsWith('{'));
  const action = { GET: 'read', PUT: 'write', PATCH: 'write', DELETE: 'delete', POST: 'action' }[verb];
  return `${provider}/vaults/${types.join('/')}/${action}`;
}

function discoveryOf(each: Operation) {
  const [group = '', method = ''] = each.id.split('_');
  const display = { provider, resource: group, operation: method, description: each.summary };
  return { name: actionOf(each), display, origin: 'user,system', properties: null };
}

export const operationListOperations = (all: () => readonly Operation[]): Operation[] => [
  operation({
    ...{ id: 'Operations_List', verb: 'GET', scope: 'service', access: 'Reader', answers: 'page' },
    path: `/subscriptions/{subscription}/resourceGroups/{group}/providers/${provider}/operations`,
    ...{ answer: discovery, summary: 'Lists the operations of the vault that this service performs.' },
    handler: async (context, request) => {
      const shown = new Map(
        all()
          .filter(({ scope, state }) => scope === 'vault' && state !== 'other')
          .map((each) => [actionOf(each), each]),
      );
      return pageOfAll(context, request, {
        all: [...shown.values()],
        keyOf: actionOf,
        body: discoveryOf,
      });
    },
  }),
];
