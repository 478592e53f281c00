// Digests between the service and a source: those of a replica that is resynchronized, for the source to compare with; and
// those of a frozen view that the source publishes for a scrub.
import * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import type { ItemRecord } from '../protection/item.ts';
import { getItem } from '../protection/itemStore.ts';
import { acceptSourceDigests } from '../protection/scrub.ts';
import { segmentCount } from '../resync/blocks.ts';
import { viewOf } from '../resync/digestChain.ts';
import type { DigestChainState } from '../resync/digestChain.ts';
import { maxFineBlocks } from '../resync/digestFormat.ts';
import { acceptManifest, findManifest } from '../resync/manifests.ts';
import { scrubScopes } from '../resync/names.ts';
import { fineDigests } from '../resync/replicaDigests.ts';
import { diskOf, itemOf, wakeJob } from './agentReports.ts';
import { parseBody } from './body.ts';
import type { ApiContext, ApiResponse, Handler } from './http.ts';

function wholeNumber(text: string | undefined, what: string): number {
  if (text !== undefined && /^\d{1,12}$/.test(text)) return Number(text);
  throw new LifeboatError(
    'InvalidRequest',
    `The ${what} "${(text ?? '').slice(0, 40)}" is no whole number.`,
    {
      target: what,
    },
  );
}

interface Comparison {
  record: ItemRecord;
  chain: DigestChainState;
}

/** The comparison that the path names. Throws `OperationNotSupportedInState` when it is not running (any more). */
async function getComparison(
  context: ApiContext,
  params: Readonly<Record<string, string>>,
): Promise<Comparison> {
  const record = await getItem(context.replication.storage.items, itemOf(params));
  const generation = wholeNumber(params['generation'], 'generation');
  const chain = record.resync?.generation === generation ? record.resync.digests[diskOf(params)] : undefined;
  if (chain && record.resync?.phase !== 'applied') return { record, chain };
  const message = `Disk "${diskOf(params)}" of item ${record.item} is not being resynchronized under generation ${generation} (any more). Ask for the assignment.`;
  throw new LifeboatError('OperationNotSupportedInState', message, { target: 'generation' });
}

const binary = (bytes: Uint8Array): ApiResponse => ({
  status: 200,
  headers: { 'content-type': 'application/octet-stream' },
  bytes,
});

/** GET …/resync/{generation}/coarse/{segment}: 200 with the manifest, 202 while it is being computed. */
export const getCoarseDigests: Handler = async (context, { params }) => {
  const { chain } = await getComparison(context, params);
  const segment = wholeNumber(params['segment'], 'segment');
  if (segment >= chain.segmentCount) {
    const message = `Disk ${chain.disk} has ${chain.segmentCount} segments; there is no segment ${segment}.`;
    throw new LifeboatError('InvalidRequest', message, { target: 'segment' });
  }
  const { item, disk, generation } = chain;
  const manifest = await findManifest(context.replication.storage.resync, {
    scope: { item, disk, generation },
    segment,
  });
  return manifest ? binary(manifest) : { status: 202, headers: { 'retry-after': '2' } };
};

const fineBody = z.object({ coarseBlocks: z.array(z.number().int().min(0)).min(1).max(maxFineBlocks) });

/** POST …/resync/{generation}/fine: digests of 4 KiB inside the blocks that differ. */
export const getFineDigests: Handler = async (context, request) => {
  const { chain } = await getComparison(context, request.params);
  const { coarseBlocks } = await parseBody(request, fineBody);
  const { item, disk, generation } = chain;
  const { replicas } = context.replication.storage;
  return binary(await fineDigests(replicas, { item, disk, generation }, viewOf(chain), coarseBlocks));
};

/** PUT …/scrubs/{scrub}/coarse/{segment}: digests of the source's frozen view, as a manifest of the scrub's source scope. */
export const putScrubDigests: Handler = async (context, request) => {
  const { storage } = context.replication;
  const record = await getItem(storage.items, itemOf(request.params));
  const scrubId = request.params['scrub'] ?? '';
  const row = record.disks.find(({ disk }) => disk === diskOf(request.params));
  if (record.scrub?.scrubId !== scrubId || !row) {
    const message = `Disk "${diskOf(request.params)}" of item ${record.item} is not being compared under "${scrubId.slice(0, 64)}" (any more). Ask for the assignment.`;
    throw new LifeboatError('OperationNotSupportedInState', message, { target: 'scrub' });
  }
  const segment = wholeNumber(request.params['segment'], 'segment');
  if (segment >= segmentCount(row.sizeBytes))
    throw new LifeboatError('InvalidRequest', `Disk ${row.disk} has no segment ${segment}.`, {
      target: 'segment',
    });
  const { source } = scrubScopes(record.item, row.disk, scrubId);
  const subject = { scope: source, diskSizeBytes: row.sizeBytes, segment };
  await acceptManifest(storage.resync, subject, await request.bytes());
  return { status: 200, body: { item: record.item, disk: row.disk, segment } };
};

const scrubBody = z.object({ cycle: z.number().int().min(1) });

/** POST …/scrubs/{scrub}/complete: every segment of every disk is there, of the view that this cycle was cut from. */
export const completeScrubDigests: Handler = async (context, request) => {
  const { cycle } = await parseBody(request, scrubBody);
  const item = itemOf(request.params);
  const record = await acceptSourceDigests(context.replication, item, request.params['scrub'] ?? '', cycle);
  await wakeJob(context, record);
  return { status: 200, body: { item, cycle: record.scrub?.cycle ?? cycle } };
};
