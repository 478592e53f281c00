// A log was uploaded: drain its item. The trigger says only that there may be work; what is done depends on storage alone,
// so triggers that come late, twice, out of order or for another version of the blob are harmless.
import { app } from '@azure/functions';
import type { InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';
import { drainOnLadder } from '../../lib/protection/failures.ts';
import { wakeJobOf } from '../../lib/protection/reconcileJobs.ts';
import { telemetryOf } from '../../lib/replication/context.ts';
import { itemOfDelta, parseDeltaName } from '../../lib/replication/names.ts';
import { traceparentKey, validTraceparents } from '../../lib/telemetry/traceparent.ts';
import { drainUntil } from '../limits.ts';
import { orchestrationClient, replicationContext } from '../services.ts';
import type { BlobHandle } from './blobClientFactory.ts';

/** What the log's metadata names as its trace, unchecked; the host brings the metadata along. */
function traceparentOf({ triggerMetadata }: InvocationContext): string | undefined {
  const metadata = triggerMetadata?.['metadata'];
  if (typeof metadata !== 'object' || metadata === null) return undefined;
  const traceparent: unknown = Reflect.get(metadata, traceparentKey);
  return typeof traceparent === 'string' ? traceparent : undefined;
}

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
    { ids: parseDeltaName(name) ?? { item }, causes: validTraceparents([traceparentOf(invocation)]) },
    async (span) => {
      const report = await drainOnLadder(context, item, { stopAt: drainUntil() });
      span.set({ 'lifeboat.outcome': report.outcome });
      return report;
    },
  );
  if (appliedCycles.length > 0) await wakeJobOf(context, orchestrationClient(invocation), item);
  invocation.log(`${name}: ${outcome}, applied ${appliedCycles.length} cycles`);
}

app.storageBlob('deltaUploaded', {
  path: 'deltas/{name}',
  connection: 'LIFEBOAT_STORAGE',
  source: 'EventGrid',
  sdkBinding: true,
  extraInputs: [df.input.durableClient()],
  handler: deltaUploaded,
});
