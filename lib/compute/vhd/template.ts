// The machine as a template that anyone can deploy: Resource Manager's JSON, the same in Bicep, and a parameters file with
// all that is known. Expressions stand where the deployment decides: location, network, size.
import { machineResources, type AzureResource } from '../machineResources.ts';
import type { MachineNic, MachineOrder } from '../port.ts';

interface TemplateParameter {
  value: string | null;
  description: string;
}

const subnetParameter = (order: MachineOrder, { nic }: MachineNic): string =>
  `subnetId${order.nics.findIndex((each) => each.nic === nic)}`;

const knownSubnetId = ({ networkId, subnet }: MachineNic): string | null =>
  networkId === null || subnet === null ? null : `${networkId}/subnets/${subnet}`;

function parametersOf(order: MachineOrder): Record<string, TemplateParameter> {
  const parameters: Record<string, TemplateParameter> = {
    storageAccountId: {
      value: null,
      description: 'ARM id of the storage account that holds the container recovered',
    },
    recoveredUrl: {
      value: null,
      description:
        'URL of the container recovered, for example https://account.blob.core.windows.net/recovered',
    },
    vmSize: {
      value: order.placement.size ?? 'Standard_D2s_v5',
      description: 'Size of the virtual machine; it must support the machine generation',
    },
  };
  for (const nic of order.nics)
    parameters[subnetParameter(order, nic)] = {
      value: knownSubnetId(nic),
      description: `ARM id of the subnet for network adapter ${nic.nic}`,
    };
  return parameters;
}

/** `[…]` strings are Resource Manager expressions; the Bicep text has their inside. */
function resourcesOf(order: MachineOrder): AzureResource[] {
  // The size is a parameter whatever was chosen, so the resources are made as if nothing had been.
  const unsized = { ...order, placement: { ...order.placement, size: null } };
  return machineResources(unsized, {
    location: '[resourceGroup().location]',
    storageAccountId: "[parameters('storageAccountId')]",
    blobUrl: (blobName) => `[format('{0}/${blobName}', parameters('recoveredUrl'))]`,
    resourceId: (type, name) => `[resourceId('${type}', '${name}')]`,
    subnetId: (nic) => `[parameters('${subnetParameter(order, nic)}')]`,
    defaultSize: "[parameters('vmSize')]",
  });
}

const reference = /\[resourceId\('([^']+)', '([^']+)'\)\]/g;

/** The resources of the template that the text of this one refers to. */
function dependenciesOf({ body }: AzureResource): string[] {
  return [...new Set([...JSON.stringify(body).matchAll(reference)].map(([expression]) => expression))];
}

/** The files, by name. Deterministic: the same order gives the same bytes. */
export function templateFiles(order: MachineOrder): Record<string, string> {
  const parameters = parametersOf(order);
  const resources = resourcesOf(order);
  const template = {
    $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
    contentVersion: '1.0.0.0',
    parameters: Object.fromEntries(
      Object.entries(parameters).map(([name, { description }]) => [
        name,
        { type: 'string', metadata: { description } },
      ]),
    ),
    resources: resources.map((resource) => {
      const { type, apiVersion, name, body } = resource;
      const dependsOn = dependenciesOf(resource);
      return { type, apiVersion, name, ...(dependsOn.length > 0 && { dependsOn }), ...body };
    }),
  };
  const parametersFile = {
    $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#',
    contentVersion: '1.0.0.0',
    parameters: Object.fromEntries(
      Object.entries(parameters)
        .filter(([, { value }]) => value !== null)
        .map(([name, { value }]) => [name, { value }]),
    ),
  };
  return {
    'machine.json': `${JSON.stringify(template, null, 2)}\n`,
    'machine.parameters.json': `${JSON.stringify(parametersFile, null, 2)}\n`,
    'machine.bicep': bicepText(parameters, resources),
  };
}

function bicepText(
  parameters: Record<string, TemplateParameter>,
  resources: readonly AzureResource[],
): string {
  const symbols = new Map(resources.map(({ type, name }, index) => [`${type}/${name}`, `resource${index}`]));
  const declared = Object.entries(parameters).map(
    ([name, { description }]) => `@description('${description}')\nparam ${name} string\n`,
  );
  const written = resources.map(
    ({ type, apiVersion, name, body }) =>
      `resource ${symbols.get(`${type}/${name}`) ?? ''} '${type}@${apiVersion}' = ${bicepValue({ name, ...body }, symbols, 0)}\n`,
  );
  return [...declared, ...written].join('\n');
}

/** A value in Bicep's notation; expressions are translated, references become symbols, which imply the dependency. */
function bicepValue(value: unknown, symbols: ReadonlyMap<string, string>, depth: number): string {
  const indent = '  '.repeat(depth + 1);
  const end = `\n${'  '.repeat(depth)}`;
  if (typeof value === 'string') return bicepString(value, symbols);
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    const items = value.map((item) => `\n${indent}${bicepValue(item, symbols, depth + 1)}`);
    return `[${items.join('')}${end}]`;
  }
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).map(
      ([key, field]) => `\n${indent}${bicepKey(key)}: ${bicepValue(field, symbols, depth + 1)}`,
    );
    return fields.length === 0 ? '{}' : `{${fields.join('')}${end}}`;
  }
  return String(value);
}

const bicepKey = (key: string): string => (/^[a-z_]\w*$/i.test(key) ? key : quoted(key));
const quoted = (text: string): string =>
  `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('${', '\\${')}'`;

function bicepString(text: string, symbols: ReadonlyMap<string, string>): string {
  const expression = /^\[(.*)\]$/.exec(text)?.[1];
  if (expression === undefined) return quoted(text);
  const resource = /^resourceId\('([^']+)', '([^']+)'\)$/.exec(expression);
  if (resource) return `${symbols.get(`${resource[1] ?? ''}/${resource[2] ?? ''}`) ?? ''}.id`;
  const parameter = /^parameters\('(\w+)'\)$/.exec(expression);
  if (parameter) return parameter[1] ?? '';
  const formatted = /^format\('\{0\}([^']*)', parameters\('(\w+)'\)\)$/.exec(expression);
  if (formatted) return `'\${${formatted[2] ?? ''}}${formatted[1] ?? ''}'`;
  return expression;
}
