// Whether the item could fail over now: looked at by a timer, so that a wrong setting is found while there is time, and on request.
import { findMachine } from '../inventory/inventory.ts';
import { LifeboatError, isLifeboatError } from '../errors.ts';
import { withHealth } from '../protection/health.ts';
import type { ItemReadiness, ItemRecord, RecoveryPointRecord } from '../protection/item.ts';
import { updateItem } from '../protection/itemStore.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { choosePoint } from './choosePoint.ts';
import { failoverReadiness, type ConfigurationIssue, type DrillFacts } from './readiness.ts';
import { machineOrderOf, siteMappings } from './targetSettings.ts';

/** Between two looks: settings change by request, and then at once; what lies outside changes rarely. */
const lookMs = 6 * 3_600_000;

export interface ReadinessCheck {
  issues: ConfigurationIssue[];
  /** What a failover to the newest processed data would use. */
  point: RecoveryPointRecord;
}

/** Checks the item as a failover would. Throws `RecoveryPointMissing` when there is nothing to fail over to. */
export async function checkReadiness(
  { storage, compute }: ReplicationContext,
  record: ItemRecord,
  drill?: DrillFacts,
): Promise<ReadinessCheck> {
  const point = await choosePoint(storage.items, record, { kind: 'latestProcessed' });
  const machine = await findMachine(storage.inventory, record.fabric, record.machine);
  const mappings = await siteMappings(storage.vault, record.fabric);
  const order = (purpose: 'test' | 'failover') =>
    machineOrderOf({
      ...{ record, machine, point, purpose, mappings, jobId: '00000000', testNetworkId: null },
    });
  const issues = failoverReadiness({
    ...{ failover: order('failover'), test: order('test'), provider: compute?.kind ?? 'vhd' },
    ...(drill && { drill }),
  });
  return { issues, point };
}

async function issuesOf(context: ReplicationContext, record: ItemRecord): Promise<ConfigurationIssue[]> {
  try {
    return (await checkReadiness(context, record)).issues;
  } catch (error) {
    if (!isLifeboatError(error, 'RecoveryPointMissing')) throw error;
    const message = error instanceof LifeboatError ? error.message : '';
    return [{ severity: 'Error', check: 'RecoveryPoint', subject: record.item, message }];
  }
}

/** The timer's look: keeps what was found in the item's row, from which its health follows. See lib/agenda. */
export async function lookAtReadiness(context: ReplicationContext, record: ItemRecord): Promise<string> {
  const now = context.clock.now();
  const next = new Date(now.getTime() + lookMs).toISOString();
  // What runs elsewhere already has no settings to mend before it may.
  if (record.state !== 'Protected') return next;
  const readiness: ItemReadiness = { checkedAt: now.toISOString(), issues: await issuesOf(context, record) };
  await updateItem(context.storage.items, record.item, (current) =>
    withHealth(context, { ...current, readiness }),
  );
  return next;
}
