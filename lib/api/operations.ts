// The table of operations: the one source of the routes, of openapi/openapi.json and of docs/api-coverage.md.
import { agentOperations } from './agentOperations.ts';
import { auditOperations } from './auditLog.ts';
import { computeSizeOperations } from './computeSizes.ts';
import { containerMappingOperations } from './containerMappings.ts';
import { containerOperations } from './containers.ts';
import { eventOperations } from './events.ts';
import { fabricOperations } from './fabrics.ts';
import { hostIdentityOperations } from './hostIdentity.ts';
import { itemExtraOperations } from './itemExtras.ts';
import { jobExportOperations } from './jobExport.ts';
import { jobOperations } from './jobs.ts';
import { networkMappingOperations } from './networkMappings.ts';
import { operationListOperations } from './operationList.ts';
import type { Operation } from './operation.ts';
import { otherScenarioOperations } from './otherScenarios.ts';
import { policyOperations } from './policies.ts';
import { policyExtraOperations } from './policyExtras.ts';
import { protectableItemOperations } from './protectableItems.ts';
import { protectedItemOperations } from './protectedItems.ts';
import { protectedItemVerbOperations } from './protectedItemVerbs.ts';
import { providerOperations } from './providers.ts';
import { recoveryExtraOperations } from './recoveryExtras.ts';
import { recoveryPlanExtraOperations } from './recoveryPlanExtras.ts';
import { recoveryPlanOperations } from './recoveryPlans.ts';
import { recoveryPlanVerbOperations } from './recoveryPlanVerbs.ts';
import { recoveryPointOperations } from './recoveryPoints.ts';
import { referenceOperations } from './reference/operations.ts';
import { compileRoutes } from './router.ts';
import { storageMappingOperations } from './storageMappings.ts';
import { supportedSystemOperations } from './supportedSystems.ts';
import { topologyOperations } from './topology.ts';
import { vaultHealthOperations } from './vaultHealth.ts';
import { vaultSettingOperations } from './vaultSettings.ts';

const table: readonly Operation[] = [
  ...fabricOperations,
  ...providerOperations,
  ...containerOperations,
  ...policyOperations,
  ...containerMappingOperations,
  ...protectableItemOperations,
  ...protectedItemOperations,
  ...protectedItemVerbOperations,
  ...recoveryPointOperations,
  ...computeSizeOperations,
  ...recoveryPlanOperations,
  ...recoveryPlanVerbOperations,
  ...jobOperations,
  ...jobExportOperations,
  ...eventOperations,
  ...vaultSettingOperations,
  ...vaultHealthOperations,
  ...topologyOperations,
  ...networkMappingOperations,
  ...storageMappingOperations,
  ...supportedSystemOperations,
  ...otherScenarioOperations,
  ...itemExtraOperations,
  ...recoveryExtraOperations,
  ...recoveryPlanExtraOperations,
  ...policyExtraOperations,
  ...hostIdentityOperations,
  ...auditOperations,
  ...agentOperations,
];

/** Every operation; those that show the table itself read it when they are called. */
export const operations: readonly Operation[] = [
  ...table,
  ...operationListOperations(() => operations),
  ...referenceOperations(() => operations),
];

/** Below the vault. */
export const vaultRoutes = compileRoutes(operations.filter(({ scope }) => scope === 'vault'));
/** Everything else. */
export const serviceRoutes = compileRoutes(operations.filter(({ scope }) => scope === 'service'));
