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

async function lookAt({ location, format }: DiskPlace): Promise<KnownDisk> {
  await using reader = await openDisk(location, { format });
  const path = isNbdUri(location) ? location : await realpath(location);
  return { location: path, sizeBytes: reader.sizeBytes, imageId: reader.identity.chain[0]?.imageId ?? null };
}

/** What the disks are now; durable with the next update of the state. Disks that agent.yaml gives no path are left out. */
export async function lookAtDisks({ source }: Pick<ItemContext, 'source'>): Promise<ItemState['disks']> {
  const disks: ItemState['disks'] = {};
  for (const place of source.places) disks[place.disk] = await lookAt(place);
  return disks;
}

/**
 * Throws `SourceDiskUnknown` when another image lies where the replicated one was. A place that agent.yaml names since then is an
 * administrator's decision, and only its size must fit.
 */
export async function requireKnown({ state }: Pick<ItemContext, 'state'>, place: DiskPlace): Promise<void> {
  const known = state.current.disks[place.disk];
  if (!known) return;
  const found = await lookAt(place);
  if (found.location !== known.location || found.imageId === known.imageId) return;
  const message = `Disk ${place.disk}: ${found.location} is another image (${found.imageId ?? 'without an id'}) than the one that was replicated (${known.imageId ?? 'without an id'}). Put the right one there; to overwrite this one all the same, give it another name in agent.yaml.`;
  throw new LifeboatError('SourceDiskUnknown', message, { target: place.disk });
}
