// Target compute sizes: which sizes of virtual machine fit a protected item.
import { computeSizes, sizeProblems } from '../catalogue/computeSizes.ts';
import type { ComputeSize, Demand } from '../catalogue/computeSizes.ts';
import { findMachine } from '../inventory/inventory.ts';
import { resource } from './arm.ts';
import { targetComputeSizeProperties } from './models/protectedItems.ts';
import { resourceOf } from './models/wire.ts';
import { operation } from './operation.ts';
import { pageOfAll } from './paging.ts';
import { itemPath } from './paths.ts';
import { itemSegments } from './protectedItemIds.ts';
import { getItemInPath } from './protectedItems.ts';

const sizeModel = resourceOf('TargetComputeSize', targetComputeSizeProperties);

const sizeProperties = (size: ComputeSize, demand: Demand) => ({
  name: size.name,
  friendlyName: size.name,
  cpuCoresCount: size.cores,
  vCPUsAvailable: size.cores,
  memoryInGB: size.memoryGib,
  maxDataDiskCount: size.maxDataDisks,
  maxNicsCount: size.maxNics,
  errors: sizeProblems(size, demand).map((message) => ({ message, severity: 'Error' })),
  highIopsSupported: size.isPremium ? 'Supported' : 'NotSupported',
  hyperVGenerations: [...size.generations],
});

export const computeSizeOperations = [
  operation({
    ...{ id: 'TargetComputeSizes_ListByReplicationProtectedItems', verb: 'GET', access: 'Reader' },
    ...{ path: `${itemPath}/targetComputeSizes`, answers: 'page', answer: sizeModel },
    summary: 'Lists sizes of virtual machines, each with the reasons why it does not fit the machine.',
    handler: async (context, request) => {
      const record = await getItemInPath(context, request.params);
      const machine = await findMachine(context.replication.storage.inventory, record.fabric, record.machine);
      const demand: Demand = {
        dataDisks: Math.max(0, record.disks.length - 1),
        nics: machine?.nics.length ?? 0,
        generation: machine?.generation ?? '2',
      };
      return pageOfAll(context, request, {
        all: computeSizes,
        keyOf: ({ name }) => name,
        body: (size) =>
          resource(
            context.settings.vault,
            [...itemSegments(record), 'targetComputeSizes', size.name],
            sizeProperties(size, demand),
          ),
      });
    },
  }),
];
