// What we ask of a running QEMU and tell it, with the answers checked.
import * as z from 'zod';
import { LifeboatError } from '../../../lib/errors.ts';
import type { QmpClient } from '../../qmp/client.ts';
import { isBitmapOf, isOurs } from './names.ts';

const bitmapSchema = z.object({
  name: z.string().optional(),
  recording: z.boolean(),
  inconsistent: z.boolean().optional(),
});
const nodesSchema = z.array(
  z.object({
    'node-name': z.string(),
    drv: z.string(),
    'dirty-bitmaps': z.array(bitmapSchema).optional(),
  }),
);
const blockSchema = z.array(
  z.object({
    device: z.string(),
    qdev: z.string().optional(),
    inserted: z
      .object({ 'node-name': z.string().optional(), image: z.object({ 'virtual-size': z.number() }) })
      .optional(),
  }),
);
const exportsSchema = z.array(z.object({ id: z.string() }));
const statusSchema = z.object({ status: z.string() });

export interface BlockNode {
  name: string;
  driver: string;
  bitmaps: readonly NamedBitmap[];
}

export interface NamedBitmap {
  name: string;
  isRecording: boolean;
  /** QEMU lost track of it and says so. */
  isInconsistent: boolean;
}

/** A disk of the machine with where it hangs. */
export interface AttachedDisk {
  disk: string;
  /** QOM path of the device, whose property `drive` names what the guest reads and writes. */
  devicePath: string;
  /** The disk's own node: what the device's drive is while no view is open. */
  rootNode: string;
  /** What the device's drive was when the disk was found: the root, or the filter of a view. */
  driveNode: string;
  sizeBytes: number;
  bitmaps: readonly NamedBitmap[];
}

/** Names a disk of the machine. */
export interface QemuDisk {
  /** What the agent calls it. */
  disk: string;
  /** The device in QEMU: its id (`-device …,id=vd0`), its QOM path, or the name of its drive. */
  device: string;
}

export class Machine {
  readonly qmp: QmpClient;

  constructor(qmp: QmpClient) {
    this.qmp = qmp;
  }

  /** Runs a query and checks its answer. */
  async #query<Answer>(command: string, schema: z.ZodType<Answer>, args = {}): Promise<Answer> {
    const answer = schema.safeParse(await this.qmp.execute(command, args));
    if (answer.success) return answer.data;
    const { location } = this.qmp;
    throw new LifeboatError(
      'SourceAnswerInvalid',
      `${location}: QEMU’s answer to ${command} is not understood`,
      {
        target: location,
        cause: answer.error,
      },
    );
  }

  async getStatus(): Promise<string> {
    return (await this.#query('query-status', statusSchema)).status;
  }

  async listNodes(): Promise<BlockNode[]> {
    const nodes = await this.#query('query-named-block-nodes', nodesSchema, { flat: true });
    return nodes.map((node) => ({
      name: node['node-name'],
      driver: node.drv,
      bitmaps: (node['dirty-bitmaps'] ?? []).flatMap(({ name, recording, inconsistent }) =>
        // Filters keep bitmaps of their own, without a name.
        name === undefined ? [] : [{ name, isRecording: recording, isInconsistent: inconsistent === true }],
      ),
    }));
  }

  async listExports(): Promise<string[]> {
    return (await this.#query('query-block-exports', exportsSchema)).map(({ id }) => id);
  }

  /** Finds the disks. Throws `SourceAnswerInvalid` for a device that the machine does not have, or without a disk. */
  async findDisks(wanted: readonly QemuDisk[]): Promise<AttachedDisk[]> {
    const blocks = await this.#query('query-block', blockSchema);
    const nodes = await this.listNodes();
    return wanted.map(({ disk, device }) => {
      const paths = [device, `/machine/peripheral/${device}`].flatMap((path) => [
        path,
        `${path}/virtio-backend`,
      ]);
      const block = blocks.find(({ qdev, device: name }) => paths.includes(qdev ?? '') || name === device);
      const inserted = block?.inserted?.['node-name'];
      if (block?.qdev === undefined || inserted === undefined) {
        const known = blocks.map(({ qdev, device: name }) => qdev ?? name).join(', ');
        const message = `${this.qmp.location}: the machine has no disk at device "${device}"; it has ${known}`;
        throw new LifeboatError('SourceAnswerInvalid', message, { target: disk });
      }
      // Under a view that was left behind is the node that carries our bitmaps.
      const ofDisk = (node: BlockNode): boolean =>
        isOurs(inserted) ? node.bitmaps.some(({ name }) => isBitmapOf(disk, name)) : node.name === inserted;
      const root = nodes.find(ofDisk);
      if (!root) {
        const message = `${this.qmp.location}: a view is left on device "${device}", and the node below it is not known`;
        throw new LifeboatError('SourceAnswerInvalid', message, { target: disk });
      }
      return {
        disk,
        devicePath: block.qdev,
        rootNode: root.name,
        driveNode: inserted,
        sizeBytes: block.inserted?.image['virtual-size'] ?? 0,
        bitmaps: root.bitmaps.filter(({ name }) => isBitmapOf(disk, name)),
      };
    });
  }

  /** Makes the device read and write through the node, without a pause. */
  async setDrive({ devicePath }: AttachedDisk, node: string): Promise<void> {
    await this.qmp.execute('qom-set', { path: devicePath, property: 'drive', value: node });
  }

  async addBitmap({ rootNode }: AttachedDisk, name: string, granularityBytes: number): Promise<void> {
    await this.qmp.execute('block-dirty-bitmap-add', {
      node: rootNode,
      name,
      granularity: granularityBytes,
    });
  }

  async removeBitmap({ rootNode }: AttachedDisk, name: string): Promise<void> {
    await this.qmp.execute('block-dirty-bitmap-remove', { node: rootNode, name });
  }

  async stopRecording({ rootNode }: AttachedDisk, name: string): Promise<void> {
    await this.qmp.execute('block-dirty-bitmap-disable', { node: rootNode, name });
  }

  /**
   * `into` records again and holds what the others hold. It records before they are merged: a write in between is in both,
   * never in none.
   */
  async mergeBitmaps({ rootNode }: AttachedDisk, into: string, others: readonly string[]): Promise<void> {
    await this.qmp.execute('block-dirty-bitmap-enable', { node: rootNode, name: into });
    if (others.length > 0)
      await this.qmp.execute('block-dirty-bitmap-merge', { node: rootNode, target: into, bitmaps: others });
  }

  async deleteNode(name: string): Promise<void> {
    await this.qmp.execute('blockdev-del', { 'node-name': name });
  }

  /** Ends an export, its clients too, and waits until it is gone: until then its bitmap and node are in use. */
  async deleteExport(id: string): Promise<void> {
    await this.qmp.execute('block-export-del', { id, mode: 'hard' });
    await this.qmp.waitForEvent(({ event, data }) => event === 'BLOCK_EXPORT_DELETED' && data['id'] === id);
  }
}
