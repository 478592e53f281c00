// Alert settings and vault settings.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { changeStored, findStored, getStored, listStored } from '../vault/collection.ts';
import { alertSettings, defaultAlertSetting, vaultSettings } from '../vault/settings.ts';
import type { AlertSetting, VaultSetting } from '../vault/settings.ts';
import { resource, resourceId } from './arm.ts';
import { done } from './completedJobs.ts';
import type { ApiContext } from './http.ts';
import { alertProperties, vaultSettingProperties } from './models/vault.ts';
import { resourceOf } from './models/wire.ts';
import { requireResourceName } from './names.ts';
import { operation } from './operation.ts';
import { pageOfAll } from './paging.ts';

const alertModel = resourceOf('Alert', alertProperties);
const alertPath = '/replicationAlertSettings/{alertSetting}';
const settingModel = resourceOf('VaultSetting', vaultSettingProperties);
const settingPath = '/replicationVaultSettings/{vaultSetting}';

const alertInput = z
  .object({
    properties: z
      .object({
        sendToOwners: z.enum(['Send', 'DoNotSend']).nullish(),
        customEmailAddresses: z.array(z.email().max(254)).max(50).nullish(),
        locale: z
          .string()
          .regex(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'must be a language tag such as en-US')
          .nullish(),
      })
      .nullish(),
  })
  .meta({ id: 'ConfigureAlertRequest' });

const settingInput = z
  .object({
    properties: z.object({
      migrationSolutionId: z.string().max(1000).nullish(),
      vmwareToAzureProviderType: z.string().max(100).nullish(),
    }),
  })
  .meta({ id: 'VaultSettingCreationInput' });

const vaultOf = (context: ApiContext) => context.replication.storage.vault;

const alertBody = ({ settings }: ApiContext, { name, ...properties }: AlertSetting) =>
  resource(settings.vault, ['replicationAlertSettings', name], properties);

/** Site Recovery has this one name. Throws `ResourceNotFound` for others. */
function requireAlertName(name: string): string {
  if (name.toLowerCase() === defaultAlertSetting.name.toLowerCase()) return defaultAlertSetting.name;
  const message = `Alert setting "${name}" does not exist; there is "${defaultAlertSetting.name}".`;
  throw new LifeboatError('ResourceNotFound', message, { target: name });
}

const alertOf = async (context: ApiContext) =>
  (await findStored(vaultOf(context), alertSettings, defaultAlertSetting.name)) ?? {
    record: defaultAlertSetting,
    etag: undefined,
  };

const settingBody = ({ settings }: ApiContext, { name, ...properties }: VaultSetting) =>
  resource(settings.vault, ['replicationVaultSettings', name], properties);

export const vaultSettingOperations = [
  operation({
    ...{ id: 'ReplicationAlertSettings_List', verb: 'GET', path: '/replicationAlertSettings' },
    ...{ access: 'Reader', answers: 'page', answer: alertModel, summary: 'Lists the alert settings.' },
    handler: async (context, request) =>
      pageOfAll(context, request, {
        all: [(await alertOf(context)).record],
        keyOf: alertSettings.keyOf,
        body: (record) => alertBody(context, record),
      }),
  }),
  operation({
    ...{ id: 'ReplicationAlertSettings_Get', verb: 'GET', path: alertPath, access: 'Reader' },
    ...{ summary: 'Shows an alert setting.', answers: 'resource', answer: alertModel },
    handler: async (context, { params }) => {
      requireAlertName(params['alertSetting'] ?? '');
      const { record, etag } = await alertOf(context);
      return { status: 200, ...(etag ? { headers: { etag } } : {}), body: alertBody(context, record) };
    },
  }),
  operation({
    ...{ id: 'ReplicationAlertSettings_Create', verb: 'PUT', path: alertPath, access: 'Owner' },
    ...{ body: alertInput, answers: 'resource', answer: alertModel },
    summary: 'Says whom to alert.',
    handler: async (context, request) => {
      const name = requireAlertName(request.params['alertSetting'] ?? '');
      const given = request.body.properties ?? {};
      const stored = await changeStored(
        vaultOf(context),
        alertSettings,
        { key: name, ifMatch: request.ifMatch },
        (known = defaultAlertSetting) => ({
          name,
          sendToOwners: given.sendToOwners ?? known.sendToOwners,
          customEmailAddresses: given.customEmailAddresses ?? known.customEmailAddresses,
          locale: given.locale ?? known.locale,
        }),
      );
      return { status: 200, body: alertBody(context, stored ?? defaultAlertSetting) };
    },
  }),
  operation({
    ...{ id: 'ReplicationVaultSetting_List', verb: 'GET', path: '/replicationVaultSettings' },
    ...{ access: 'Reader', answers: 'page', answer: settingModel, summary: 'Lists the vault settings.' },
    handler: async (context, request) =>
      pageOfAll(context, request, {
        all: await listStored(vaultOf(context), vaultSettings),
        keyOf: vaultSettings.keyOf,
        body: (record) => settingBody(context, record),
      }),
  }),
  operation({
    ...{ id: 'ReplicationVaultSetting_Get', verb: 'GET', path: settingPath, access: 'Reader' },
    ...{ summary: 'Shows a vault setting.', answers: 'resource', answer: settingModel },
    handler: async (context, { params }) => {
      const name = params['vaultSetting'] ?? '';
      const { record, etag } = await getStored(vaultOf(context), vaultSettings, name);
      return { status: 200, headers: { etag }, body: settingBody(context, record) };
    },
  }),
  operation({
    ...{ id: 'ReplicationVaultSetting_Create', verb: 'PUT', path: settingPath, access: 'Owner' },
    ...{ body: settingInput, answers: 'job', answer: settingModel },
    summary: 'Stores a vault setting. Both are of other scenarios: kept and shown, with no effect here.',
    handler: async (context, request) => {
      const name = requireResourceName(request.params['vaultSetting'] ?? '', 'vault setting');
      const { migrationSolutionId, vmwareToAzureProviderType } = request.body.properties;
      await changeStored(
        vaultOf(context),
        vaultSettings,
        { key: name, ifMatch: request.ifMatch },
        (known) => ({
          name: known?.name ?? name,
          migrationSolutionId: migrationSolutionId ?? null,
          vmwareToAzureProviderType: vmwareToAzureProviderType ?? null,
        }),
      );
      const targetId = resourceId(context.settings.vault, 'replicationVaultSettings', name);
      return done(context, request, { kind: 'changeVaultSetting', targetId, targetName: name });
    },
  }),
];
