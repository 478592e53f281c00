// Settings of the vault that clients may read and write: whom to alert, and two that other scenarios use.
import * as z from 'zod';
import type { Collection } from './collection.ts';

const alertSetting = z.object({
  name: z.string(),
  sendToOwners: z.enum(['Send', 'DoNotSend']),
  customEmailAddresses: z.array(z.string()),
  locale: z.string(),
});
export type AlertSetting = z.infer<typeof alertSetting>;

/** There is one, and it exists from the start. */
export const defaultAlertSetting: AlertSetting = {
  name: 'defaultAlertSetting',
  sendToOwners: 'DoNotSend',
  customEmailAddresses: [],
  locale: 'en-US',
};

export const alertSettings: Collection<AlertSetting> = {
  partition: 'alertSettings',
  what: 'Alert setting',
  schema: alertSetting,
  keyOf: ({ name }) => name.toLowerCase(),
};

const vaultSetting = z.object({
  name: z.string(),
  migrationSolutionId: z.string().nullable(),
  vmwareToAzureProviderType: z.string().nullable(),
});
export type VaultSetting = z.infer<typeof vaultSetting>;

export const vaultSettings: Collection<VaultSetting> = {
  partition: 'vaultSettings',
  what: 'Vault setting',
  schema: vaultSetting,
  keyOf: ({ name }) => name.toLowerCase(),
};
