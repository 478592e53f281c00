// Operating systems of machines that come up in Azure from a replica of their disks, by generation of the machine.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import { resource } from './arm.ts';
import { operation } from './operation.ts';
import { resourceOf } from './models/wire.ts';
import { findQuery } from './query.ts';

const version = z.strictObject({ version: z.string(), servicePack: z.string().nullable() });
const systemsModel = resourceOf(
  'SupportedOperatingSystems',
  z
    .strictObject({
      supportedOsList: z.array(
        z.strictObject({
          instanceType: z.string(),
          supportedOs: z.array(
            z.strictObject({ osName: z.string(), osType: z.string(), osVersions: z.array(version) }),
          ),
        }),
      ),
    })
    .meta({ id: 'SupportedOSProperties' }),
);
const system = (osName: string, osType: 'Windows' | 'Linux', ...versions: string[]) => ({
  osName,
  osType,
  osVersions: versions.map((each) => ({ version: each, servicePack: null })),
});

const supported = [
  system('Windows Server', 'Windows', '2012 R2', '2016', '2019', '2022', '2025'),
  system('Windows', 'Windows', '10', '11'),
  system('Ubuntu', 'Linux', '20.04', '22.04', '24.04'),
  system('Debian', 'Linux', '11', '12'),
  system('Red Hat Enterprise Linux', 'Linux', '8', '9'),
  system('SUSE Linux Enterprise Server', 'Linux', '15'),
];

export const supportedSystemOperations = [
  operation({
    ...{ id: 'SupportedOperatingSystemsOperations_Get', verb: 'GET', access: 'Reader' },
    ...{ path: '/replicationSupportedOperatingSystems', answers: 'resource', answer: systemsModel },
    query: { instanceType: 'HyperVReplicaAzure, or absent' },
    summary: 'Lists the operating systems of machines that can be protected.',
    handler: async (context, { query }) => {
      const asked = findQuery(query, 'instancetype');
      if (asked !== undefined && asked.toLowerCase() !== 'hypervreplicaazure') {
        const message = `instanceType "${asked.slice(0, 60)}" is not replicated by this service; there is HyperVReplicaAzure.`;
        throw new LifeboatError('ScenarioUnsupported', message, { target: 'instanceType' });
      }
      const body = resource(context.settings.vault, ['replicationSupportedOperatingSystems', 'default'], {
        supportedOsList: [{ instanceType: 'HyperVReplicaAzure', supportedOs: supported }],
      });
      return { status: 200, body };
    },
  }),
];
