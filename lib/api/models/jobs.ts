// Jobs and events as answers carry them.
import * as z from 'zod';
import { mapOf, number, text, texts, time, variant } from './wire.ts';
import { healthError } from './fabrics.ts';

const serviceError = z
  .strictObject({
    code: text,
    message: text,
    possibleCauses: text,
    recommendedAction: text,
    activityId: text,
  })
  .meta({ id: 'ServiceError' });

const providerError = z
  .strictObject({
    errorCode: number,
    errorMessage: text,
    errorId: text,
    possibleCauses: text,
    recommendedAction: text,
  })
  .meta({ id: 'ProviderError' });

const jobErrorDetails = z
  .strictObject({
    serviceErrorDetails: serviceError.nullish(),
    providerErrorDetails: providerError.nullish(),
    errorLevel: text,
    creationTime: time,
    taskId: text,
  })
  .meta({ id: 'JobErrorDetails' });

const asrTask = z
  .strictObject({
    taskId: text,
    name: text,
    startTime: time,
    endTime: time,
    allowedActions: texts,
    friendlyName: text,
    state: text,
    stateDescription: text,
    taskType: text,
    customDetails: variant.nullish(),
    groupTaskCustomDetails: variant.nullish(),
    errors: z.array(jobErrorDetails).nullish(),
  })
  .meta({ id: 'ASRTask' });

export const jobProperties = z
  .strictObject({
    activityId: text,
    scenarioName: text,
    friendlyName: text,
    state: text,
    stateDescription: text,
    tasks: z.array(asrTask).nullish(),
    errors: z.array(jobErrorDetails).nullish(),
    startTime: time,
    endTime: time,
    allowedActions: texts,
    targetObjectId: text,
    targetObjectName: text,
    targetInstanceType: text,
    customDetails: variant.nullish(),
  })
  .meta({ id: 'JobProperties' });

export const asrJobDetails = z
  .strictObject({
    instanceType: z.literal('AsrJobDetails'),
    affectedObjectDetails: mapOf(z.string()),
  })
  .meta({ id: 'AsrJobDetails' });

const failoverItem = z
  .strictObject({
    name: text,
    friendlyName: text,
    testVmName: text,
    testVmFriendlyName: text,
    networkConnectionStatus: text,
    networkFriendlyName: text,
    subnet: text,
    recoveryPointId: text,
    recoveryPointTime: time,
  })
  .meta({ id: 'FailoverReplicationProtectedItemDetails' });

export const testFailoverJobDetails = z
  .strictObject({
    instanceType: z.literal('TestFailoverJobDetails'),
    affectedObjectDetails: mapOf(z.string()),
    testFailoverStatus: text,
    comments: text,
    networkName: text,
    networkFriendlyName: text,
    networkType: text,
    protectedItemDetails: z.array(failoverItem).nullish(),
  })
  .meta({ id: 'TestFailoverJobDetails' });

export const failoverJobDetails = z
  .strictObject({
    instanceType: z.literal('FailoverJobDetails'),
    affectedObjectDetails: mapOf(z.string()),
    protectedItemDetails: z.array(failoverItem).nullish(),
  })
  .meta({ id: 'FailoverJobDetails' });

export const exportJobDetails = z
  .strictObject({
    instanceType: z.literal('ExportJobDetails'),
    affectedObjectDetails: mapOf(z.string()),
    blobUri: text,
    sasToken: text,
  })
  .meta({ id: 'ExportJobDetails' });

export const eventProperties = z
  .strictObject({
    eventCode: text,
    description: text,
    eventType: text,
    affectedObjectFriendlyName: text,
    affectedObjectCorrelationId: text,
    severity: text,
    timeOfOccurrence: time,
    fabricId: text,
    providerSpecificDetails: variant.nullish(),
    eventSpecificDetails: variant.nullish(),
    healthErrors: z.array(healthError).nullish(),
  })
  .meta({ id: 'EventProperties' });
