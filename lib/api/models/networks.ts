// Networks, storage classifications and their mappings as answers carry them.
import * as z from 'zod';
import { text, texts, variant } from './wire.ts';

const subnet = z
  .strictObject({
    name: text,
    friendlyName: text,
    addressList: texts,
  })
  .meta({ id: 'Subnet' });

export const networkProperties = z
  .strictObject({
    fabricType: text,
    subnets: z.array(subnet).nullish(),
    friendlyName: text,
    networkType: text,
  })
  .meta({ id: 'NetworkProperties' });

export const networkMappingProperties = z
  .strictObject({
    state: text,
    primaryNetworkFriendlyName: text,
    primaryNetworkId: text,
    primaryFabricFriendlyName: text,
    recoveryNetworkFriendlyName: text,
    recoveryNetworkId: text,
    recoveryFabricArmId: text,
    recoveryFabricFriendlyName: text,
    fabricSpecificSettings: variant.nullish(),
  })
  .meta({ id: 'NetworkMappingProperties' });

export const logicalNetworkProperties = z
  .strictObject({
    friendlyName: text,
    networkVirtualizationStatus: text,
    logicalNetworkUsage: text,
    logicalNetworkDefinitionsStatus: text,
  })
  .meta({ id: 'LogicalNetworkProperties' });

export const storageClassificationProperties = z
  .strictObject({
    friendlyName: text,
  })
  .meta({ id: 'StorageClassificationProperties' });

export const storageClassificationMappingProperties = z
  .strictObject({
    targetStorageClassificationId: text,
  })
  .meta({ id: 'StorageClassificationMappingProperties' });
