// A log was uploaded: drain its item. The trigger says only that there may be work; what is done depends on storage alone,
// so triggers that come late, twice, out of order or for another version of the blob are harmless.
import { app } from '@azure/functions';
import type { InvocationContext } from '@azure/functions';
import { drainOnLadder } from '../../lib/protection/failures.ts';
import { telemetryOf } from '../../lib/replication/context.ts';
import { itemOfDelta } from '../../lib/replication/names.ts';
import { drainUntil } from '../limits.ts';
import { replicationContext } from '../services.ts';
import type { BlobHandle } from './blobClientFactory.ts';

async function deltaUploaded(handle: BlobHandle, invocation: InvocationContext): Promise<void> {
  // The host falls back to the blob's bytes when it skips deferred binding; that must never go unnoticed.
  if (Buffer.isBuffer(handle))
    throw new Error('deltaUploaded got bytes instead of a client: sdkBinding is not in effect.');
  const { name } = handle.blobClient;
  const item = itemOfDelta(name);
  if (item === undefined) {
    invocation.warn(`ignored ${name}: logs are named <item>/<cycle>/<disk>.hrl`);
    return;
  }
  const context = await replicationContext(invocation);
  const { outcome, appliedCycles } = await telemetryOf(context).span(
    'lifeboat.delta.received',
    { ids: { item } },
    () => drainOnLadder(context, item, { stopAt: drainUntil() }),
  );
  invocation.log(`${name}: ${outcome}, applied ${appliedCycles.length} cycles`);
}

app.storageBlob('deltaUploaded', {
  path: 'deltas/{name}',
  connection: 'LIFEBOAT_STORAGE',
  source: 'EventGrid',
  sdkBinding: true,
  handler: deltaUploaded,
});
