// `lifeboat item …`, `rpo` and `events`.
import * as z from 'zod';
import { formatBytes } from '../humanText.ts';
import { print, type Io } from '../io.ts';
import { Management, type ArmResource } from './management.ts';
import {
  paragraph,
  cell,
  duration,
  facts,
  finishJob,
  moment,
  show,
  tableOr,
  type JobOptions,
  type ShowOptions,
} from './show.ts';

const details = z.record(z.string(), z.unknown()).catch({});
const of = (item: ArmResource, field: string): unknown =>
  details.parse(item.properties['providerSpecificDetails'])[field];

export async function listItems(io: Io, options: ShowOptions): Promise<void> {
  const management = await Management.connect(io, options);
  await show(io, options, {
    load: () => management.listResources(management.path('replicationProtectedItems')),
    text: (items) =>
      tableOr(
        'No machine is protected. Begin with: lifeboat item enable',
        ['ITEM', 'STATE', 'HEALTH', 'RPO', 'LAST POINT'],
        items.map((item) => [
          item.name,
          cell(item.properties['protectionState']),
          cell(item.properties['replicationHealth']),
          duration(of(item, 'rpoInSeconds')),
          moment(of(item, 'lastRecoveryPointReceived')),
        ]),
      ),
  });
}

const itemState = z.looseObject({
  item: z.string(),
  state: z.string(),
  replicationHealth: z.string(),
  healthErrors: z
    .array(z.looseObject({ code: z.string(), level: z.string().optional(), message: z.string() }))
    .default([]),
  disks: z.array(
    z.looseObject({
      disk: z.string(),
      sizeBytes: z.number(),
      pendingLogBytes: z.number().nullish(),
      resync: z.looseObject({ reason: z.string() }).nullish(),
    }),
  ),
});

function itemText(found: z.infer<typeof itemState>): string {
  const retry = details.parse(found['retry'] ?? {});
  const latest = details.parse(found['latestPoint'] ?? {});
  const text = facts([
    ['item', found.item],
    ['machine', found['machineName']],
    ['site', found['site']],
    ['policy', found['policy']],
    ['state', (found['pausedAt'] ?? null) === null ? found.state : `${found.state}, paused`],
    ['health', found.replicationHealth],
    ['applied cycle', found['appliedCycle']],
    ['newest point', moment(latest['takenAt'])],
    ['job', found['currentJob']],
    [
      'next attempt',
      retry['nextAttemptAt'] === undefined
        ? '-'
        : `${moment(retry['nextAttemptAt'])} (${cell(retry['code'])})`,
    ],
    ['allowed', (found['allowedOperations'] as string[] | undefined)?.join(', ')],
  ]);
  const disks = tableOr(
    'No disks.',
    ['DISK', 'SIZE', 'PENDING', 'RESYNC'],
    found.disks.map(({ disk, sizeBytes, pendingLogBytes, resync }) => [
      disk,
      formatBytes(sizeBytes),
      formatBytes(pendingLogBytes ?? 0),
      resync?.reason ?? '-',
    ]),
  );
  const errors = found.healthErrors
    .map(({ code, message }) => `\n${paragraph(`${code}: ${message}`)}`)
    .join('');
  return `${text}\n${disks}${errors}`;
}

export async function showItem(io: Io, name: string, options: ShowOptions): Promise<void> {
  const management = await Management.connect(io, options);
  const { name: item } = await management.getItem(name);
  await show(io, options, {
    load: async () =>
      itemState.parse(await management.get(`/lifeboat/v1/items/${encodeURIComponent(item.toLowerCase())}`)),
    text: itemText,
  });
}

export interface EnableOptions extends JobOptions {
  site: string;
  policy: string;
  name?: string;
  disks?: string[];
}

/** Protects a machine that a source host has reported; makes the mapping of site and policy when there is none. */
export async function enableItem(io: Io, machine: string, options: EnableOptions): Promise<void> {
  const management = await Management.connect(io, options);
  const container = await management.getContainer(options.site);
  const policyId = management.path('replicationPolicies', options.policy);
  await management.getResource(policyId);
  const protectable = await management.getResource(
    `${container}/replicationProtectableItems/${encodeURIComponent(machine.toLowerCase())}`,
  );
  const mapping = `${container}/replicationProtectionContainerMappings/${encodeURIComponent(`to-${options.policy}`)}`;
  const mapped = await management.send('PUT', mapping, { properties: { policyId } });
  if (mapped.jobId !== undefined) await management.waitForJob(mapped.jobId);
  const item = `${container}/replicationProtectedItems/${encodeURIComponent(options.name ?? machine.toLowerCase())}`;
  const providerSpecificDetails = {
    instanceType: 'HyperVReplicaAzure',
    ...(options.disks ? { disksToInclude: options.disks } : {}),
  };
  const begun = await management.send('PUT', item, {
    properties: { policyId, protectableItemId: protectable.id, providerSpecificDetails },
  });
  await finishJob(io, options, management, begun);
}

/** Verbs of an item that begin a job, or are done at once. */
const verbs = {
  resync: (item: ArmResource) => [`${item.id}/repairReplication`, undefined] as const,
  disable: (item: ArmResource) =>
    [
      `${item.id}/remove`,
      {
        properties: {
          disableProtectionReason: 'NotSpecified',
          replicationProviderInput: { instanceType: 'HyperVReplicaAzure' },
        },
      },
    ] as const,
  pause: (item: ArmResource) =>
    [`/lifeboat/v1/items/${encodeURIComponent(item.name.toLowerCase())}/pause`, undefined] as const,
  resume: (item: ArmResource) =>
    [`/lifeboat/v1/items/${encodeURIComponent(item.name.toLowerCase())}/resume`, undefined] as const,
};

export async function doItemVerb(
  io: Io,
  verb: keyof typeof verbs,
  name: string,
  options: JobOptions,
): Promise<void> {
  const management = await Management.connect(io, options);
  const [path, body] = verbs[verb](await management.getItem(name));
  await finishJob(io, options, management, await management.send('POST', path, body));
}

const chart = z.object({
  item: z.string(),
  from: z.string(),
  until: z.string(),
  rpoMilliseconds: z.array(z.unknown()),
});

/** Statistics of an item, and with --series its RPO over time. */
export async function showRpo(io: Io, name: string, options: ShowOptions & { series?: true }): Promise<void> {
  const management = await Management.connect(io, options);
  const { name: item } = await management.getItem(name);
  const path = `/lifeboat/v1/items/${encodeURIComponent(item.toLowerCase())}`;
  if (options.series === true) {
    const series = chart.parse(await management.get(`${path}/rpo?points=60`));
    await print(io, `${JSON.stringify(series)}\n`);
    return;
  }
  await show(io, options, {
    load: async () => details.parse(await management.get(`${path}/statistics`)),
    text: ({ statistics }) => {
      if (statistics === null) return 'There are no statistics before the first recovery point.\n';
      return facts(
        Object.entries(details.parse(statistics)).map(
          ([field, value]) => [field, /Seconds$/.test(field) ? duration(value) : value] as const,
        ),
      );
    },
  });
}

export async function listEvents(io: Io, options: ShowOptions & { limit?: string }): Promise<void> {
  const management = await Management.connect(io, options);
  const limit = Math.max(1, Number(options.limit ?? '30') || 30);
  await show(io, options, {
    load: () => management.listResources(management.path('replicationEvents'), limit),
    text: (events) =>
      tableOr(
        'Nothing has happened yet.',
        ['TIME', 'SEVERITY', 'OBJECT', 'EVENT'],
        events.map(({ properties }) => [
          moment(properties['timeOfOccurrence']),
          cell(properties['severity']),
          cell(properties['affectedObjectFriendlyName']),
          cell(properties['description']),
        ]),
      ),
  });
}
