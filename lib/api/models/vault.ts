// The health, the alerts and the settings of a vault as answers carry them.
import * as z from 'zod';
import { mapOf, number, text, texts } from './wire.ts';
import { healthError } from './fabrics.ts';

export const alertProperties = z
  .strictObject({
    sendToOwners: text,
    customEmailAddresses: texts,
    locale: text,
  })
  .meta({ id: 'AlertProperties' });

const healthErrorSummary = z
  .strictObject({
    summaryCode: text,
    category: text,
    severity: text,
    summaryMessage: text,
    affectedResourceType: text,
    affectedResourceSubtype: text,
    affectedResourceCorrelationIds: texts,
  })
  .meta({ id: 'HealthErrorSummary' });

const resourceHealthSummary = z
  .strictObject({
    resourceCount: number,
    issues: z.array(healthErrorSummary).nullish(),
    categorizedResourceCounts: mapOf(z.number()),
  })
  .meta({ id: 'ResourceHealthSummary' });

export const vaultHealthProperties = z
  .strictObject({
    vaultErrors: z.array(healthError).nullish(),
    protectedItemsHealth: resourceHealthSummary.nullish(),
    fabricsHealth: resourceHealthSummary.nullish(),
    containersHealth: resourceHealthSummary.nullish(),
  })
  .meta({ id: 'VaultHealthProperties' });

export const vaultSettingProperties = z
  .strictObject({
    migrationSolutionId: text,
    vmwareToAzureProviderType: text,
  })
  .meta({ id: 'VaultSettingProperties' });
