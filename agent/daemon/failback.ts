// The source's part of a failback: each disk is made equal to the recovery point that the machine comes home with, read back
// through the tracker's own frozen view, and only then reported. That view is what the next cycle counts from, so replication
// goes on without a new initial replication.
//
//   1 off      the machine does not run here, the disks are the ones that were replicated   → nothing is written yet
//   2 write    compared, and only what differs is written                                 → again from the cursor
//   3 swap     (failback: newDisk) the new disks take the place of the originals          → again, or undone
//   4 verify   frozen, read back; the frozen state is the new reference                   → again from 2 where it differs
//   5 report   each disk                                                                  → may come twice
import { join } from 'node:path';
import { LifeboatError } from '../../lib/errors.ts';
import { failbackScope } from '../../lib/resync/names.ts';
import { applyDisk, findWrongChunks } from '../failback/applyDisk.ts';
import { blobRecoveryPoint } from '../failback/recoveryPoint.ts';
import { openForWriting, openNewDisk, type WritableDisk } from '../failback/sourceDiskWriter.ts';
import { planSwap, removeKept, swapBack, swapIn, type KeptDisk } from '../failback/swap.ts';
import { requireOff, requirePower } from '../power/machinePower.ts';
import type { Assignment } from '../serviceClient.ts';
import type { DiskPlace } from '../track/frozenView.ts';
import { restingDisks } from '../track/restingDisks.ts';
import { CopyCursorFile, removeCursor } from '../upload/copyCursor.ts';
import { copyChunkBytes } from '../upload/uploadReplica.ts';
import { AgentError } from '../agentError.ts';
import type { DiskReader } from '../disk/reader.ts';
import { abortOpen, confirmOpen, freeze, type ItemContext } from './itemContext.ts';
import { lookAtDisks, requireKnown } from './knownDisks.ts';

type Work = NonNullable<Assignment['failback']>;
type WorkDisk = Work['disks'][number];

const openCursor = ({ item, folder }: ItemContext, { disk, sizeBytes, snapshotId }: WorkDisk) =>
  CopyCursorFile.open(join(folder, `${disk}.failback`), {
    ...{ item, disk, blobName: snapshotId, diskSizeBytes: sizeBytes, chunkBytes: copyChunkBytes },
  });

function placeOf({ source }: ItemContext, disk: string): DiskPlace {
  const place = source.places.find((each) => each.disk === disk);
  if (place) return place;
  const message = `Disk ${disk} comes home, and agent.yaml has no path for it.`;
  throw new LifeboatError('SourceDiskUnknown', message, { target: disk });
}

/** True when there is something to do again at once. May be called again after any failure or crash. */
export async function writeFailback(context: ItemContext, { failback: work }: Assignment): Promise<boolean> {
  const { state, source, tracker } = context;
  if (!work) {
    await undoFailback(context);
    context.report({ doing: 'failback: waiting for the changes of the recovered machine' });
    return false;
  }
  if (work.disks.every(({ isApplied }) => isApplied) && state.current.failback?.cycle === work.cycle) {
    context.report({ doing: 'failed back; waiting for the service' });
    return false;
  }
  const { machine } = source;
  const power = requirePower(source.power, { machine, what: 'A failback' });
  // What was cut before is of another history by now.
  await abortOpen(context);
  await tracker.close();
  await context.spool.removeOthers(context.item, []);
  await requireOff(power, machine);
  await power.letGo?.();
  if (state.current.failback?.cycle !== work.cycle || !state.current.failback.isVerified) {
    await writeDisks(context, work);
    await verify(context, work);
  }
  await requireOff(power, machine);
  for (const { disk, isApplied } of work.disks)
    if (!isApplied) await context.client.reportApplied(context.item, disk, work.cycle);
  context.log(`${context.item}: the disks equal the recovery point of cycle ${work.cycle}`);
  return true;
}

async function writeDisks(context: ItemContext, work: Work): Promise<void> {
  const { state, source } = context;
  const places = work.disks.map(({ disk }) => placeOf(context, disk));
  const isSwapped = state.current.failback?.cycle === work.cycle && state.current.failback.kept.length > 0;
  if (!isSwapped) for (const place of places) await requireKnown(context, place);
  const totalBytes = work.disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBefore = 0;
  for (const each of work.disks) {
    await writeDisk(context, { ...each, cycle: work.cycle }, { doneBefore, totalBytes, isSwapped });
    doneBefore += each.sizeBytes;
  }
  if (source.failback === 'original' || isSwapped) return;
  const kept: KeptDisk[] = [];
  for (const place of places) kept.push(await planSwap(place));
  await state.update({ failback: { cycle: work.cycle, isVerified: false, kept } });
  for (const each of kept) await swapIn(each);
  context.log(
    `${context.item}: the new disks are in place; the originals are ${kept.map(({ keptPath }) => keptPath).join(', ')}`,
  );
}

async function openTarget(
  { source }: ItemContext,
  place: DiskPlace,
  { sizeBytes, isSwapped }: { sizeBytes: number; isSwapped: boolean },
): Promise<{ disk: WritableDisk; isNew: boolean }> {
  if (source.failback === 'newDisk' && !isSwapped) return openNewDisk(place, sizeBytes);
  return { disk: await openForWriting(place, sizeBytes), isNew: false };
}

async function writeDisk(
  context: ItemContext,
  work: WorkDisk & { cycle: number },
  { doneBefore, totalBytes, isSwapped }: { doneBefore: number; totalBytes: number; isSwapped: boolean },
): Promise<void> {
  const { item, client, signal } = context;
  const { disk, snapshotId, sizeBytes } = work;
  const { disk: target, isNew } = await openTarget(context, placeOf(context, disk), { sizeBytes, isSwapped });
  await using closing = target;
  await using cursor = await openCursor(context, work);
  if (isNew) await cursor.reset();
  const result = await applyDisk({
    ...{ target: closing, cursor, signal, viewId: snapshotId },
    point: blobRecoveryPoint({
      getUrl: () => readUrlOf(context, work),
      getDigests: (blocks) => client.failbackDigests({ item, disk, cycle: work.cycle }, blocks),
      ...{ scope: failbackScope(item, disk, work.cycle), diskSizeBytes: sizeBytes, signal },
    }),
    onProgress: (doneBytes) =>
      context.report({ doing: `writing ${disk}`, doneBytes: doneBefore + doneBytes, totalBytes }),
  });
  const { comparedBytes, fetchedBytes, writtenBytes, resumedBytes } = result;
  context.log(
    `${item}/${disk}: ${writtenBytes} bytes written of ${comparedBytes} compared, ${fetchedBytes} fetched, ${resumedBytes} bytes were done`,
  );
}

async function readUrlOf({ feed, item }: ItemContext, { disk, cycle }: { disk: string; cycle: number }) {
  const failback = (await feed.find(item))?.failback;
  const found = failback?.cycle === cycle ? failback.disks.find((each) => each.disk === disk) : undefined;
  if (failback && found) return { url: found.readUrl, expiresAt: new Date(failback.expiresAt) };
  const action = 'Nothing to do: the assignment is asked for again.';
  throw new AgentError('NotAssigned', `The failback of disk ${disk} of item ${item} is over.`, action);
}

/** The disks at rest as the tracker, or nobody, freezes them. `reference` is undefined where the tracker can only freeze a running machine. */
async function openFrozen(context: ItemContext) {
  if (context.source.canFreezeAtRest) {
    context.report({ doing: 'freezing the disks to read them back' });
    const cycle = await freeze(context, undefined);
    return {
      reference: cycle.reference,
      takenAt: cycle.takenAt,
      readerOf: (disk: string) => cycle.disks.find((each) => each.disk === disk)?.reader,
      check: async () => cycle.check?.(),
      release: () => Promise.resolve(),
    };
  }
  const view = await restingDisks(context.source.places).open();
  return {
    reference: null,
    takenAt: view.takenAt,
    readerOf: (disk: string): DiskReader | undefined => view.readers.get(disk),
    check: () => view.check(),
    release: () => view.release(),
  };
}

/** Reads every disk back. What differs is forgotten by the cursor, so that the next attempt writes it again. */
async function verify(context: ItemContext, work: Work): Promise<void> {
  const { state, item, signal } = context;
  const frozen = await openFrozen(context);
  try {
    for (const each of work.disks) await verifyDisk(context, each, frozen.readerOf(each.disk));
    await frozen.check();
  } catch (error) {
    await abortOpen(context);
    throw error;
  } finally {
    await frozen.release();
  }
  signal.throwIfAborted();
  const kept = state.current.failback?.cycle === work.cycle ? state.current.failback.kept : [];
  await state.update({
    ...{ reference: frozen.reference, appliedCycle: work.cycle, pending: null, baseline: null, final: null },
    failback: { cycle: work.cycle, isVerified: true, kept },
    disks: await lookAtDisks(context),
    sizes: Object.fromEntries(work.disks.map(({ disk, sizeBytes }) => [disk, sizeBytes])),
    lastFrozenAt: frozen.takenAt.toISOString(),
  });
  if (frozen.reference !== null) await confirmOpen(context, frozen.reference);
  context.log(`${item}: read back, equal; the next cycle counts from here`);
}

async function verifyDisk(
  context: ItemContext,
  work: WorkDisk,
  reader: DiskReader | undefined,
): Promise<void> {
  const { disk, snapshotId: viewId, sizeBytes } = work;
  await using cursor = await openCursor(context, work);
  const { signal } = context;
  const wrong =
    reader?.sizeBytes === sizeBytes
      ? await findWrongChunks(reader, {
          ...{ chunks: cursor.chunks, viewId, signal },
          onProgress: (doneBytes) =>
            context.report({ doing: `reading ${disk} back`, doneBytes, totalBytes: sizeBytes }),
        })
      : [0];
  for (const chunk of wrong) await cursor.forget(chunk);
  if (wrong.length === 0) return;
  const message = `Disk ${disk} was written and is not what the recovery point has, in ${wrong.length} places from byte ${(wrong[0] ?? 0) * copyChunkBytes} on.`;
  throw new AgentError('SourceChanged', message, 'Look who else writes the disk; it is written again.');
}

async function forget(context: ItemContext): Promise<void> {
  for (const { disk } of context.source.places) await removeCursor(join(context.folder, `${disk}.failback`));
  await context.state.update({ failback: null });
}

/** The failback was cancelled: original disks that were set aside take their place again. Nothing to undo: no change. */
export async function undoFailback(context: ItemContext): Promise<void> {
  const { failback } = context.state.current;
  if (!failback) return;
  for (const each of failback.kept) await swapBack(each);
  await forget(context);
  context.log(`${context.item}: the failback of cycle ${failback.cycle} was cancelled`);
}

/** Replication goes its old way again: what was kept for going back is removed. Nothing kept: no change. */
export async function endFailback(context: ItemContext): Promise<void> {
  const { failback } = context.state.current;
  if (!failback) return;
  for (const each of failback.kept) await removeKept(each);
  await forget(context);
}
