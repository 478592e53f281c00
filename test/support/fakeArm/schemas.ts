// The bodies that the fake takes: what the services document as required must be there, and nothing that they do not know.
import * as z from 'zod';

const id = (type: string) =>
  z.strictObject({
    id: z.string().regex(new RegExp(`/providers/${type.replaceAll('.', '\\.')}/[^/]+`, 'i')),
  });
const common = {
  location: z.string().min(1),
  tags: z.record(z.string().max(512), z.string().max(256)).refine((tags) => Object.keys(tags).length <= 50),
};
const zones = z
  .array(z.enum(['1', '2', '3']))
  .length(1)
  .optional();

const disk = z.strictObject({
  ...common,
  zones,
  sku: z.strictObject({
    name: z.enum([
      'Standard_LRS',
      'StandardSSD_LRS',
      'Premium_LRS',
      'PremiumV2_LRS',
      'UltraSSD_LRS',
      'StandardSSD_ZRS',
      'Premium_ZRS',
    ]),
  }),
  properties: z.strictObject({
    osType: z.enum(['Windows', 'Linux']).optional(),
    hyperVGeneration: z.enum(['V1', 'V2']).optional(),
    creationData: z.strictObject({
      createOption: z.literal('Import'),
      sourceUri: z.string().regex(/^https:\/\/[a-z0-9]+\.blob\.core\.windows\.net\/.+\.vhd$/),
      storageAccountId: z
        .string()
        .regex(/\/providers\/Microsoft\.Storage\/storageAccounts\/[a-z0-9]{3,24}$/i),
    }),
    encryption: z.strictObject({ type: z.string(), diskEncryptionSetId: z.string() }).optional(),
    networkAccessPolicy: z.enum(['AllowAll', 'AllowPrivate', 'DenyAll']).optional(),
    publicNetworkAccess: z.enum(['Enabled', 'Disabled']).optional(),
  }),
});

const snapshot = z.strictObject({
  ...common,
  sku: z.strictObject({ name: z.enum(['Standard_LRS', 'Standard_ZRS', 'Premium_LRS']) }),
  properties: z.strictObject({
    creationData: z.strictObject({
      createOption: z.literal('Copy'),
      sourceResourceId: id('Microsoft.Compute/disks').shape.id,
    }),
    incremental: z.literal(true),
    encryption: z.strictObject({ type: z.string(), diskEncryptionSetId: z.string() }).optional(),
    networkAccessPolicy: z.enum(['AllowAll', 'AllowPrivate', 'DenyAll']).optional(),
    publicNetworkAccess: z.enum(['Enabled', 'Disabled']).optional(),
  }),
});

/** Of beginGetAccess. */
export const accessBody = z.strictObject({
  access: z.literal('Read'),
  durationInSeconds: z.number().int().min(60).max(4_294_967_295),
  fileFormat: z.enum(['VHD', 'VHDX']).optional(),
});

const securityGroup = z.strictObject({
  ...common,
  properties: z.strictObject({
    securityRules: z.array(
      z.strictObject({
        name: z.string().min(1),
        properties: z.strictObject({
          priority: z.number().int().min(100).max(4096),
          access: z.enum(['Allow', 'Deny']),
          direction: z.enum(['Inbound', 'Outbound']),
          protocol: z.enum(['*', 'Tcp', 'Udp', 'Icmp']),
          sourceAddressPrefix: z.string(),
          sourcePortRange: z.string(),
          destinationAddressPrefix: z.string(),
          destinationPortRange: z.string(),
        }),
      }),
    ),
  }),
});

const nic = z.strictObject({
  ...common,
  properties: z.strictObject({
    ipConfigurations: z
      .array(
        z.strictObject({
          name: z.string().min(1),
          properties: z.strictObject({
            primary: z.boolean(),
            subnet: z.strictObject({ id: z.string().regex(/\/virtualNetworks\/[^/]+\/subnets\/[^/]+$/i) }),
            privateIPAllocationMethod: z.enum(['Static', 'Dynamic']),
            privateIPAddress: z.ipv4().optional(),
          }),
        }),
      )
      .min(1),
    networkSecurityGroup: id('Microsoft.Network/networkSecurityGroups').optional(),
  }),
});

const attachment = {
  createOption: z.literal('Attach'),
  deleteOption: z.enum(['Detach', 'Delete']),
  managedDisk: id('Microsoft.Compute/disks'),
};
const machine = z.strictObject({
  ...common,
  zones,
  properties: z.strictObject({
    hardwareProfile: z.strictObject({ vmSize: z.string() }),
    storageProfile: z.strictObject({
      osDisk: z.strictObject({ osType: z.enum(['Windows', 'Linux']), ...attachment }),
      dataDisks: z.array(z.strictObject({ lun: z.number().int().min(0).max(63), ...attachment })),
    }),
    networkProfile: z.strictObject({
      networkInterfaces: z
        .array(
          z.strictObject({
            ...id('Microsoft.Network/networkInterfaces').shape,
            properties: z.strictObject({ primary: z.boolean(), deleteOption: z.enum(['Detach', 'Delete']) }),
          }),
        )
        .min(1),
    }),
    diagnosticsProfile: z.strictObject({ bootDiagnostics: z.strictObject({ enabled: z.boolean() }) }),
    availabilitySet: id('Microsoft.Compute/availabilitySets').optional(),
    proximityPlacementGroup: id('Microsoft.Compute/proximityPlacementGroups').optional(),
    licenseType: z.enum(['Windows_Server', 'Windows_Client']).optional(),
  }),
});

export const schemas = {
  'microsoft.compute/disks': disk,
  'microsoft.compute/snapshots': snapshot,
  'microsoft.network/networksecuritygroups': securityGroup,
  'microsoft.network/networkinterfaces': nic,
  'microsoft.compute/virtualmachines': machine,
} as const;
export type FakeType = keyof typeof schemas;

export type DiskBody = z.infer<typeof disk>;
export type SnapshotBody = z.infer<typeof snapshot>;
export type NicBody = z.infer<typeof nic>;
export type MachineBody = z.infer<typeof machine>;

/** Versions that each type was published under and that know all of the fields above. */
export const versions: Record<FakeType, readonly string[]> = {
  'microsoft.compute/disks': ['2023-10-02', '2024-03-02'],
  'microsoft.compute/snapshots': ['2023-10-02', '2024-03-02'],
  'microsoft.network/networksecuritygroups': ['2024-01-01', '2024-05-01'],
  'microsoft.network/networkinterfaces': ['2024-01-01', '2024-05-01'],
  'microsoft.compute/virtualmachines': ['2024-03-01', '2024-07-01'],
};

export const nameRules: Record<FakeType, RegExp> = {
  'microsoft.compute/disks': /^[a-z0-9][\w.-]{0,78}\w?$/i,
  'microsoft.compute/snapshots': /^[a-z0-9_][\w.-]{0,78}\w?$/i,
  'microsoft.network/networksecuritygroups': /^[a-z0-9]([\w.-]{0,78}\w)?$/i,
  'microsoft.network/networkinterfaces': /^[a-z0-9]([\w.-]{0,78}\w)?$/i,
  'microsoft.compute/virtualmachines': /^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$/i,
};
