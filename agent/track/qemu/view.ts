// The frozen view of one disk: a copy-before-write filter between device and disk saves what the guest overwrites into a
// scratch file, and a snapshot-access node over it shows the disk as it was. If the scratch file cannot grow, the view
// breaks and the guest writes on.
import { chown, open, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { AttachedDisk, Machine } from './machine.ts';
import { isOurs, viewNames } from './names.ts';

/**
 * Makes scratch file and filter; the device does not use them yet. The file has no name any more when this returns, so
 * that its space is free as soon as QEMU closes it, whatever happens to this process.
 */
export async function prepareFilter(
  machine: Machine,
  disk: AttachedDisk,
  index: number,
  scratchFolder: string,
): Promise<void> {
  const names = viewNames(index);
  const scratchPath = path.join(scratchFolder, `${names.scratch}-${process.pid}`);
  await rm(scratchPath, { force: true });
  const file = await open(scratchPath, 'wx', 0o600);
  try {
    await file.truncate(disk.sizeBytes);
    // QEMU may run as another user; its monitor's socket belongs to that one.
    const { uid, gid } = await stat(machine.qmp.location);
    if (process.getuid?.() === 0) await chown(scratchPath, uid, gid);
    await machine.qmp.execute('blockdev-add', {
      driver: 'file',
      'node-name': names.scratch,
      filename: scratchPath,
      discard: 'unmap',
    });
  } finally {
    await file.close();
    await rm(scratchPath, { force: true });
  }
  await machine.qmp.execute('blockdev-add', {
    driver: 'copy-before-write',
    'node-name': names.filter,
    file: disk.rootNode,
    target: names.scratch,
    'on-cbw-error': 'break-snapshot',
  });
}

/** Exports the view of a disk whose device reads through the filter. `bitmap` goes with it. Returns the export's name. */
export async function exportView(
  machine: Machine,
  disk: AttachedDisk,
  index: number,
  bitmap: string | undefined,
): Promise<string> {
  const names = viewNames(index);
  await machine.qmp.execute('blockdev-add', {
    driver: 'snapshot-access',
    'node-name': names.view,
    file: names.filter,
  });
  await machine.qmp.execute('block-export-add', {
    type: 'nbd',
    id: names.exportId,
    'node-name': names.view,
    name: names.view,
    writable: false,
    ...(bitmap === undefined ? {} : { bitmaps: [{ node: disk.rootNode, name: bitmap }] }),
  });
  return names.view;
}

/**
 * Takes away every view of ours, whole or half made, of this agent or of one that died: export, snapshot-access node,
 * then the filter, for which the device goes back to its disk first, then the scratch file. `disks` as they are now.
 */
export async function removeViews(machine: Machine, disks: readonly AttachedDisk[]): Promise<void> {
  for (const id of await machine.listExports()) if (isOurs(id)) await machine.deleteExport(id);
  const nodes = (await machine.listNodes()).filter(({ name }) => isOurs(name));
  const deleteAll = async (driver: string): Promise<void> => {
    for (const node of nodes) if (node.driver === driver) await machine.deleteNode(node.name);
  };
  await deleteAll('snapshot-access');
  if (nodes.some(({ driver }) => driver === 'copy-before-write'))
    // Only where it is in use: QEMU aborts, with the guest, when a drive is set to the node that it has.
    for (const disk of disks) if (isOurs(disk.driveNode)) await machine.setDrive(disk, disk.rootNode);
  await deleteAll('copy-before-write');
  await deleteAll('file');
}
