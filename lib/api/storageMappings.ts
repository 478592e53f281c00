// Which storage classification stands for which on the other side.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { changeStored, findStored, listStored } from '../vault/collection.ts';
import { storageMappings } from '../vault/topology.ts';
import type { StorageMapping } from '../vault/topology.ts';
import { resource, resourceId } from './arm.ts';
import { done } from './completedJobs.ts';
import type { ApiContext, RoutedRequest } from './http.ts';
import { storageClassificationMappingProperties } from './models/networks.ts';
import { resourceOf } from './models/wire.ts';
import { requireResourceName } from './names.ts';
import { operation } from './operation.ts';
import { fabricPath } from './paths.ts';
import { pageOfAll } from './paging.ts';
import { getEntry, storageClassificationPart } from './topology.ts';

const kind = 'replicationStorageClassificationMappings';
const group = 'ReplicationStorageClassificationMappings';
const classificationPath = `${fabricPath}/replicationStorageClassifications/{classification}`;
const path = `${classificationPath}/${kind}/{storageMapping}`;
const mappingModel = resourceOf('StorageClassificationMapping', storageClassificationMappingProperties);

const createInput = z
  .object({ properties: z.object({ targetStorageClassificationId: z.string().min(1).max(1000) }) })
  .meta({ id: 'StorageClassificationMappingInput' });

const vaultOf = (context: ApiContext) => context.replication.storage.vault;

const segmentsOf = ({ fabric, classification, name }: StorageMapping): string[] => [
  ...['replicationFabrics', fabric, 'replicationStorageClassifications', classification, kind, name],
];

const mappingBody = ({ settings }: ApiContext, mapping: StorageMapping) =>
  resource(settings.vault, segmentsOf(mapping), { targetStorageClassificationId: mapping.target });

async function getMapping(context: ApiContext, params: RoutedRequest['params']) {
  const [fabric = '', classification = '', name = ''] = ['fabric', 'classification', 'storageMapping'].map(
    (each) => params[each],
  );
  const key = storageMappings.keyOf({ fabric, classification, name, target: '' });
  const found = await findStored(vaultOf(context), storageMappings, key);
  if (found) return found;
  const message = `Storage classification "${classification}" has no mapping "${name}".`;
  throw new LifeboatError('ResourceNotFound', message, { target: name });
}

async function listMappings(
  context: ApiContext,
  request: RoutedRequest,
  isShown: (mapping: StorageMapping) => boolean,
) {
  return pageOfAll(context, request, {
    all: (await listStored(vaultOf(context), storageMappings)).filter(isShown),
    keyOf: ({ fabric, classification, name }) => `${fabric}|${classification}|${name}`.toLowerCase(),
    body: (mapping) => mappingBody(context, mapping),
  });
}

export const storageMappingOperations = [
  operation({
    ...{ id: `${group}_List`, verb: 'GET', path: `/${kind}`, access: 'Reader' },
    ...{ summary: 'Lists the storage mappings of the vault.', answers: 'page', answer: mappingModel },
    handler: (context, request) => listMappings(context, request, () => true),
  }),
  operation({
    ...{ id: `${group}_ListByReplicationStorageClassifications`, verb: 'GET', access: 'Reader' },
    ...{ path: `${classificationPath}/${kind}`, answers: 'page', answer: mappingModel },
    summary: 'Lists the mappings of a storage classification.',
    handler: async (context, request) => {
      const { fabric, entry } = await getEntry(context, storageClassificationPart, request.params);
      return listMappings(
        context,
        request,
        (mapping) => mapping.fabric === fabric && mapping.classification === entry.id,
      );
    },
  }),
  operation({
    ...{ id: `${group}_Get`, verb: 'GET', path, access: 'Reader' },
    ...{ summary: 'Shows a storage mapping.', answers: 'resource', answer: mappingModel },
    handler: async (context, { params }) => {
      const { record, etag } = await getMapping(context, params);
      return { status: 200, headers: { etag }, body: mappingBody(context, record) };
    },
  }),
  operation({
    ...{ id: `${group}_Create`, verb: 'PUT', path, access: 'Operator', body: createInput },
    ...{ summary: 'Maps a storage classification.', answers: 'job', answer: mappingModel },
    handler: async (context, request) => {
      const { fabric, entry } = await getEntry(context, storageClassificationPart, request.params);
      const name = requireResourceName(request.params['storageMapping'] ?? '', 'storage mapping');
      const target = request.body.properties.targetStorageClassificationId;
      const mapping: StorageMapping = { name, fabric, classification: entry.id, target };
      const where = { key: storageMappings.keyOf(mapping), ifMatch: request.ifMatch };
      await changeStored(vaultOf(context), storageMappings, where, () => mapping);
      const targetId = resourceId(context.settings.vault, ...segmentsOf(mapping));
      return done(context, request, { kind: 'createStorageMapping', targetId, targetName: name });
    },
  }),
  operation({
    ...{ id: `${group}_Delete`, verb: 'DELETE', path, access: 'Owner', answers: 'job' },
    summary: 'Deletes a storage mapping.',
    handler: async (context, request) => {
      const { record } = await getMapping(context, request.params);
      const where = { key: storageMappings.keyOf(record), ifMatch: request.ifMatch };
      await changeStored(vaultOf(context), storageMappings, where, () => undefined);
      const targetId = resourceId(context.settings.vault, ...segmentsOf(record));
      return done(context, request, { kind: 'deleteStorageMapping', targetId, targetName: record.name });
    },
  }),
];
