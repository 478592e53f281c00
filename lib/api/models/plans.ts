// Recovery plans as answers carry them.
import * as z from 'zod';
import { text, texts, time, variant } from './wire.ts';
import { currentScenarioDetails } from './protectedItems.ts';

const recoveryPlanProtectedItem = z
  .strictObject({
    id: text,
    virtualMachineId: text,
  })
  .meta({ id: 'RecoveryPlanProtectedItem' });

const recoveryPlanAction = z
  .strictObject({
    actionName: text,
    failoverTypes: texts,
    failoverDirections: texts,
    customDetails: variant.nullish(),
  })
  .meta({ id: 'RecoveryPlanAction' });

const recoveryPlanGroup = z
  .strictObject({
    groupType: text,
    replicationProtectedItems: z.array(recoveryPlanProtectedItem).nullish(),
    startGroupActions: z.array(recoveryPlanAction).nullish(),
    endGroupActions: z.array(recoveryPlanAction).nullish(),
  })
  .meta({ id: 'RecoveryPlanGroup' });

export const recoveryPlanProperties = z
  .strictObject({
    friendlyName: text,
    primaryFabricId: text,
    primaryFabricFriendlyName: text,
    recoveryFabricId: text,
    recoveryFabricFriendlyName: text,
    failoverDeploymentModel: text,
    replicationProviders: texts,
    allowedOperations: texts,
    lastPlannedFailoverTime: time,
    lastUnplannedFailoverTime: time,
    lastTestFailoverTime: time,
    currentScenario: currentScenarioDetails.nullish(),
    currentScenarioStatus: text,
    currentScenarioStatusDescription: text,
    groups: z.array(recoveryPlanGroup).nullish(),
    providerSpecificDetails: z.array(variant).nullish(),
  })
  .meta({ id: 'RecoveryPlanProperties' });
