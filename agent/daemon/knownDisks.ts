// Which disks were replicated: remembered when they are at rest, so that a failback never writes another disk that lies in the
// place of one.
import { realpath } from 'node:fs/promises';
import { LifeboatError } from '../../lib/errors.ts';
import { openDisk } from '../disk/openDisk.ts';
import { isNbdUri } from '../nbd/address.ts';
import type { DiskPlace } from '../track/frozenView.ts';
import type { ItemContext } from './itemContext.ts';
import type { ItemState } from './itemState.ts';

type KnownDisk = ItemState['disks'][string];

/** The disk, and the other id that an earlier version may have remembered it by: one that changes with every writer. */
async function lookAt({ location, format }: DiskPlace): Promise<KnownDisk & { changingId: string | null }> {
  await using reader = await openDisk(location, { format });
  const path = isNbdUri(location) ? location : await realpath(location);
  const { imageId = null, diskId } = reader.identity.chain[0] ?? {};
  return {
    ...{ location: path, sizeBytes: reader.sizeBytes },
    ...{ imageId: diskId ?? imageId, changingId: imageId },
  };
}

/** What the disks are now; durable with the next update of the state. Disks that agent.yaml gives no path are left out. */
export async function lookAtDisks({ source }: Pick<ItemContext, 'source'>): Promise<ItemState['disks']> {
  const disks: ItemState['disks'] = {};
  for (const place of source.places) {
    const { location, sizeBytes, imageId } = await lookAt(place);
    disks[place.disk] = { location, sizeBytes, imageId };
  }
  return disks;
}

/**
 * Before a failback writes the disk. Throws `SourceDiskUnknown` when another image lies where the replicated one was. A place that agent.yaml names since then is an
 * administrator's decision, and only its size must fit.
 */
export async function requireKnown({ state }: Pick<ItemContext, 'state'>, place: DiskPlace): Promise<void> {
  const known = state.current.disks[place.disk];
  if (!known) return;
  const { changingId, ...found } = await lookAt(place);
  if (found.location !== known.location || found.imageId === known.imageId) return;
  if (changingId === known.imageId) {
    // The failback changes that id with its first write, and may have to go on after it.
    await state.update({ disks: { ...state.current.disks, [place.disk]: found } });
    return;
  }
  const message = `Disk ${place.disk}: ${found.location} is another image (${found.imageId ?? 'without an id'}) than the one that was replicated (${known.imageId ?? 'without an id'}). Put the right one there; to overwrite this one all the same, give it another name in agent.yaml.`;
  throw new LifeboatError('SourceDiskUnknown', message, { target: place.disk });
}
