// The moments of consistency groups: the machines of a site whose policy says `consistencyGroup`. One row a group in the table
// `vault`, changed by compare-and-set; its machines are looked up when a moment begins.
import { isLifeboatError, LifeboatError } from '../errors.ts';
import type { ItemRecord } from '../protection/item.ts';
import { getItem, listItems } from '../protection/itemStore.ts';
import type { ReplicationContext } from '../replication/context.ts';
import { findPolicy } from '../vault/policies.ts';
import { afterReport, answerTo, barrier, barrierAt, isOpen, openBarrier } from './barrier.ts';
import type { Barrier, BarrierAnswer, BarrierReport } from './barrier.ts';

const partition = 'moments';
const maxAttempts = 20;

const keyOf = ({ fabric, policy }: ItemRecord): string => `${fabric}|${policy}`.toLowerCase();

/** Machines that cut cycles of their own accord now. */
const cutsCycles = ({ state, pausedAt, resync }: ItemRecord): boolean =>
  state === 'Protected' && pausedAt === null && resync === null;

async function groupOf({ storage }: ReplicationContext, record: ItemRecord): Promise<string[]> {
  const items: string[] = [];
  for await (const each of listItems(storage))
    if (keyOf(each) === keyOf(record) && cutsCycles(each)) items.push(each.item);
  return items;
}

/** The barrier that the report is about: the one that is open, or for a machine that is ready a new one. */
async function barrierFor(
  context: ReplicationContext,
  record: ItemRecord,
  report: BarrierReport,
  stored: Barrier | undefined,
): Promise<Barrier | undefined> {
  const now = context.clock.now();
  const current = stored && barrierAt(stored, now);
  if (report.state === 'frozen' || (current && isOpen(current))) return current;
  const members = await groupOf(context, record);
  // Alone there is nothing to agree on.
  if (members.length < 2 || !members.includes(record.item)) return undefined;
  return openBarrier(context.newId(), members, current?.lastCut ?? null, now);
}

/** What the machine says, and what it then has to do. May be sent again, and is: until the phase changes. */
export async function reportMoment(
  context: ReplicationContext,
  report: BarrierReport,
): Promise<BarrierAnswer> {
  const { storage, clock } = context;
  const record = await getItem(storage.items, report.item);
  const policy = await findPolicy(storage.vault, record.policy);
  const alone: BarrierAnswer = { id: null, phase: 'alone' };
  if (policy?.consistencyGroup !== true) return alone;
  const key = keyOf(record);
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    const row = await storage.vault.find(partition, key);
    const current = await barrierFor(context, record, report, row && barrier.parse(row.value));
    if (!current) return report.state === 'ready' ? alone : { id: report.id, phase: 'failed' };
    const value = afterReport(current, report, clock.now());
    const isKnown = row !== undefined && JSON.stringify(value) === JSON.stringify(barrier.parse(row.value));
    if (isKnown) return answerTo(value, report);
    try {
      const write = row
        ? ({ kind: 'replace', key, value, etag: row.etag } as const)
        : ({ kind: 'insert', key, value } as const);
      await storage.vault.transact(partition, [write]);
      return answerTo(value, report);
    } catch (error) {
      if (!isLifeboatError(error, 'PreconditionFailed')) throw error;
    }
  }
  throw new LifeboatError('ConcurrentUpdate', `The moment of group "${key}" is being changed by others.`);
}
