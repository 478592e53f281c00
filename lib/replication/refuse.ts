// Refusing a log: nothing of it is applied, the file is kept in `quarantine` with the reason, and the item's health
// says what to do. The order (copy, health, delete) makes a crash repeat the refusal instead of losing it.
import { errorCatalogue } from '../errors.ts';
import type { LifeboatError } from '../errors.ts';
import { withHealthError } from '../protection/item.ts';
import { updateItem } from '../protection/itemStore.ts';
import type { BlobInfo } from '../storage/ports.ts';
import { telemetryOf } from './context.ts';
import type { ReplicationContext } from './context.ts';
import { parseDeltaName } from './names.ts';

/** Metadata values travel as HTTP headers: printable ASCII, one line. */
const headerValue = (text: string): string => text.replace(/[^\x20-\x7e]+/g, '?').slice(0, 1000);

/** May be called twice for the same blob. */
export async function refuseLog(
  context: ReplicationContext,
  item: string,
  blob: BlobInfo,
  error: LifeboatError,
): Promise<void> {
  const { storage, clock, fault } = context;
  context.log(`refused ${blob.name}: ${error.code}: ${error.message}`);
  await storage.deltas.copyTo(blob.name, blob.etag, 'quarantine', {
    reason: error.code,
    reasontext: headerValue(error.message),
  });
  fault('refuse.afterCopy');
  await updateItem(storage.items, item, (record) => {
    const cycle = parseDeltaName(blob.name)?.cycle ?? 0;
    const blocksReplication = cycle > record.appliedCycle;
    return {
      ...record,
      healthErrors: withHealthError(record.healthErrors, {
        code: error.code,
        level: blocksReplication ? 'Critical' : 'Warning',
        message: `${error.message} ${errorCatalogue[error.code].recommendedAction}`,
        subject: blob.name,
        raisedAt: clock.now().toISOString(),
        clearedByCycle: blocksReplication ? cycle : record.appliedCycle + 1,
      }),
    };
  });
  fault('refuse.afterHealth');
  telemetryOf(context).record('lifeboat.log.refused', 1, { code: error.code });
  telemetryOf(context).event('log.refused', `refused ${blob.name}`, { item, code: error.code });
  await storage.deltas.delete(blob.name, blob.etag);
}
