// What a vault's sites answer: fabrics, providers (source hosts), protection containers and the mappings of policies.
import * as z from 'zod';
import { number, text, texts, time, variant } from './wire.ts';

const encryptionDetails = z
  .strictObject({
    kekState: text,
    kekCertThumbprint: text,
  })
  .meta({ id: 'EncryptionDetails' });

const healthErrorFields = {
  errorSource: text,
  errorType: text,
  errorLevel: text,
  errorCategory: text,
  errorCode: text,
  summaryMessage: text,
  errorMessage: text,
  possibleCauses: text,
  recommendedAction: text,
  creationTimeUtc: time,
  recoveryProviderErrorMessage: text,
  entityId: text,
  errorId: text,
  customerResolvability: text,
};

const innerHealthError = z.strictObject(healthErrorFields).meta({ id: 'InnerHealthError' });

export const healthError = z
  .strictObject({ innerHealthErrors: z.array(innerHealthError).nullish(), ...healthErrorFields })
  .meta({ id: 'HealthError' });

export const fabricProperties = z
  .strictObject({
    friendlyName: text,
    encryptionDetails: encryptionDetails.nullish(),
    rolloverEncryptionDetails: encryptionDetails.nullish(),
    internalIdentifier: text,
    bcdrState: text,
    customDetails: variant.nullish(),
    healthErrorDetails: z.array(healthError).nullish(),
    health: text,
  })
  .meta({ id: 'FabricProperties' });

const identityProviderDetails = z
  .strictObject({
    tenantId: text,
    applicationId: text,
    objectId: text,
    audience: text,
    aadAuthority: text,
  })
  .meta({ id: 'IdentityProviderDetails' });

const versionDetails = z
  .strictObject({
    version: text,
    expiryDate: time,
    status: text,
  })
  .meta({ id: 'VersionDetails' });

export const recoveryServicesProviderProperties = z
  .strictObject({
    fabricType: text,
    friendlyName: text,
    providerVersion: text,
    serverVersion: text,
    providerVersionState: text,
    providerVersionExpiryDate: time,
    fabricFriendlyName: text,
    lastHeartBeat: time,
    connectionStatus: text,
    protectedItemCount: number,
    allowedScenarios: texts,
    healthErrorDetails: z.array(healthError).nullish(),
    draIdentifier: text,
    machineId: text,
    machineName: text,
    biosId: text,
    authenticationIdentityDetails: identityProviderDetails.nullish(),
    resourceAccessIdentityDetails: identityProviderDetails.nullish(),
    dataPlaneAuthenticationIdentityDetails: identityProviderDetails.nullish(),
    providerVersionDetails: versionDetails.nullish(),
  })
  .meta({ id: 'RecoveryServicesProviderProperties' });

export const protectionContainerProperties = z
  .strictObject({
    fabricFriendlyName: text,
    friendlyName: text,
    fabricType: text,
    protectedItemCount: number,
    pairingStatus: text,
    role: text,
    fabricSpecificDetails: variant.nullish(),
  })
  .meta({ id: 'ProtectionContainerProperties' });

export const protectionContainerMappingProperties = z
  .strictObject({
    targetProtectionContainerId: text,
    targetProtectionContainerFriendlyName: text,
    providerSpecificDetails: variant.nullish(),
    health: text,
    healthErrorDetails: z.array(healthError).nullish(),
    policyId: text,
    state: text,
    sourceProtectionContainerFriendlyName: text,
    sourceFabricFriendlyName: text,
    targetFabricFriendlyName: text,
    policyFriendlyName: text,
  })
  .meta({ id: 'ProtectionContainerMappingProperties' });

const hyperVHostDetails = z
  .strictObject({
    id: text,
    name: text,
    marsAgentVersion: text,
  })
  .meta({ id: 'HyperVHostDetails' });

export const hyperVSiteDetails = z
  .strictObject({
    instanceType: z.literal('HyperVSite'),
    hyperVHosts: z.array(hyperVHostDetails).nullish(),
  })
  .meta({ id: 'HyperVSiteDetails' });

export const vmmDetails = z
  .strictObject({
    instanceType: z.literal('VMM'),
  })
  .meta({ id: 'VmmDetails' });
