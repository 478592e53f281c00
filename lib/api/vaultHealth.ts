// The health of the vault in one answer: how many resources are how well, and what ails them, grouped by error.
import { errorCatalogue } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';
import { healthOf } from '../protection/item.ts';
import type { ItemRecord } from '../protection/item.ts';
import { listItems } from '../protection/itemStore.ts';
import { listStored } from '../vault/collection.ts';
import { containersOf } from '../vault/containers.ts';
import { fabrics } from '../vault/resources.ts';
import { resource, resourceId } from './arm.ts';
import { done } from './completedJobs.ts';
import type { ApiContext } from './http.ts';
import { vaultHealthProperties } from './models/vault.ts';
import { resourceOf } from './models/wire.ts';
import { operation } from './operation.ts';

const healthModel = resourceOf('VaultHealthDetails', vaultHealthProperties);
/** Ids listed for one error; the count of resources tells about the rest. */
const idLimit = 50;
/** How long an answer may be shown again: reading every item costs a while in a large vault. */
const freshMs = 30_000;

interface Issue {
  code: ErrorCode;
  level: 'Warning' | 'Critical';
  items: ItemRecord[];
}

async function readItems({ replication }: ApiContext): Promise<ItemRecord[]> {
  const items: ItemRecord[] = [];
  for await (const item of listItems(replication.storage)) items.push(item);
  return items;
}

function issuesOf(items: readonly ItemRecord[]): Issue[] {
  const issues = new Map<ErrorCode, Issue>();
  for (const item of items) {
    for (const { code, level } of item.healthErrors) {
      const issue = issues.get(code) ?? { code, level, items: [] };
      if (issue.items.at(-1) !== item) issue.items.push(item);
      issues.set(code, { ...issue, level: level === 'Critical' ? level : issue.level });
    }
  }
  return [...issues.values()];
}

const counted = (words: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
};

async function compute(context: ApiContext) {
  const items = await readItems(context);
  const all = await listStored(context.replication.storage.vault, fabrics);
  const containers = all.flatMap(containersOf);
  return {
    vaultErrors: [],
    protectedItemsHealth: {
      resourceCount: items.length,
      issues: issuesOf(items).map((issue) => ({
        summaryCode: issue.code,
        category: 'Replication',
        severity: issue.level === 'Critical' ? 'Error' : 'Warning',
        summaryMessage: errorCatalogue[issue.code].possibleCauses,
        affectedResourceType: 'replicationProtectedItems',
        affectedResourceSubtype: 'HyperVReplicaAzure',
        affectedResourceCorrelationIds: issue.items.slice(0, idLimit).map(({ item }) => item),
      })),
      categorizedResourceCounts: counted(items.map(healthOf)),
    },
    fabricsHealth: {
      ...{ resourceCount: all.length, issues: [] },
      categorizedResourceCounts: counted(all.map(() => 'Normal')),
    },
    containersHealth: {
      ...{ resourceCount: containers.length, issues: [] },
      categorizedResourceCounts: counted(containers.map(() => 'Normal')),
    },
  };
}

/** Kept in this process for a moment only; every instance of the app reads for itself. */
const remembered = new WeakMap<object, { atMs: number; health: ReturnType<typeof compute> }>();

function healthOfVault(context: ApiContext, isRefresh: boolean): ReturnType<typeof compute> {
  const { storage, clock } = context.replication;
  const nowMs = clock.now().getTime();
  const known = remembered.get(storage.vault);
  if (known && !isRefresh && nowMs - known.atMs < freshMs) return known.health;
  const health = compute(context);
  remembered.set(storage.vault, { atMs: nowMs, health });
  health.catch(() => remembered.delete(storage.vault));
  return health;
}

export const vaultHealthOperations = [
  operation({
    ...{ id: 'ReplicationVaultHealth_Get', verb: 'GET', path: '/replicationVaultHealth', access: 'Reader' },
    ...{ answers: 'resource', answer: healthModel },
    summary: 'Shows the health of the vault as of half a minute ago at most.',
    handler: async (context) => ({
      status: 200,
      body: resource(
        context.settings.vault,
        ['replicationVaultHealth', 'Default'],
        await healthOfVault(context, false),
      ),
    }),
  }),
  operation({
    ...{
      id: 'ReplicationVaultHealth_Refresh',
      verb: 'POST',
      path: '/replicationVaultHealth/default/refresh',
    },
    ...{ access: 'Operator', answers: 'job', answer: healthModel },
    summary: 'Reads the health of all resources anew.',
    handler: async (context, request) => {
      await healthOfVault(context, true);
      const targetId = resourceId(context.settings.vault, 'replicationVaultHealth');
      return done(context, request, { kind: 'refreshVaultHealth', targetId, targetName: 'Default' });
    },
  }),
];
