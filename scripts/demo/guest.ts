// The file system on the demo's system disk: it makes the image, changes files in it, and says whether an image is
// sound. With e2fsprogs it is a real ext4; without, plain records that show replication but prove no file system.
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findChangedBlocks } from '../../agent/changedBlocks.ts';
import { openFileSource } from '../../agent/fileSource.ts';
import { writeFully } from '../../agent/fileWrite.ts';
import type { HrlWrite } from '../../lib/hrl/writer.ts';
import { open } from 'node:fs/promises';
import { changeExt4, checkExt4, findE2fsprogs, makeExt4, type E2fsprogs } from './e2fsprogs.ts';

export interface Guest {
  /** What kind of file system it is, for the reader. */
  readonly description: string;
  makeImage(image: string): Promise<void>;
  /** The block writes that take the image from its present state to the next: files added, changed, deleted. */
  planChanges(image: string, round: number): Promise<HrlWrite[]>;
  /** `clean`, `n/a` when nothing can be said, or the complaint. */
  check(image: string): Promise<string>;
}

export const systemDiskMiB = 96;
const kib = 1024;

async function writeHostFile(path: string, sizeBytes: number): Promise<void> {
  await writeFile(path, randomBytes(sizeBytes));
}

/** A real ext4. Changes are made by debugfs on a scratch copy; the blocks that differ are the guest's writes. */
class Ext4Guest implements Guest {
  readonly description = 'ext4 (checked with e2fsck)';
  readonly #tools: E2fsprogs;
  readonly #folder: string;

  constructor(tools: E2fsprogs, folder: string) {
    this.#tools = tools;
    this.#folder = folder;
  }

  async makeImage(image: string): Promise<void> {
    const files = join(this.#folder, 'files');
    await mkdir(join(files, 'etc'), { recursive: true });
    await mkdir(join(files, 'var', 'lib'), { recursive: true });
    await writeFile(join(files, 'etc', 'hostname'), 'demo-vm\n');
    await writeFile(join(files, 'etc', 'motd'), 'Written before the first copy.\n'.repeat(200));
    for (let index = 0; index < 24; index++)
      await writeHostFile(join(files, 'var', 'lib', `table-${index}.db`), (16 + 90 * index) * kib);
    await makeExt4(this.#tools, image, files, systemDiskMiB);
    await rm(files, { recursive: true });
  }

  async planChanges(image: string, round: number): Promise<HrlWrite[]> {
    const scratch = join(this.#folder, 'scratch.img');
    await copyFile(image, scratch);
    const added = join(this.#folder, 'added.bin');
    const changed = join(this.#folder, 'changed.bin');
    await writeHostFile(added, (300 + 150 * round) * kib);
    await writeFile(changed, `Changed in round ${round}.\n`.repeat(400 * (round + 1)));
    const commands = [
      `mkdir round-${round}`,
      `write ${added} round-${round}/added.bin`,
      'rm etc/motd',
      `write ${changed} etc/motd`,
      `rm var/lib/table-${2 * round}.db`,
      `rm var/lib/table-${2 * round + 1}.db`,
      `write ${added} var/lib/table-${2 * round + 1}.db`,
    ];
    await changeExt4(this.#tools, scratch, join(this.#folder, 'debugfs.cmd'), commands);
    const writes: HrlWrite[] = [];
    {
      await using before = await openFileSource(image);
      await using after = await openFileSource(scratch);
      for await (const { diskOffset, data } of findChangedBlocks(before, after))
        writes.push({ diskOffset, data: Uint8Array.from(data) });
    }
    await rm(scratch);
    return writes;
  }

  async check(image: string): Promise<string> {
    return (await checkExt4(this.#tools, image)) ?? 'clean';
  }
}

/** No file system, only records at fixed places. */
class RecordGuest implements Guest {
  readonly description = 'plain records (no e2fsprogs: no ext4, no fsck)';

  async makeImage(image: string): Promise<void> {
    await using handle = await open(image, 'w');
    await truncate(image, systemDiskMiB * kib * kib);
    for (let index = 0; index < 24; index++)
      await writeFully(handle, index * 4 * kib * kib, randomBytes((16 + 90 * index) * kib));
  }

  async planChanges(_image: string, round: number): Promise<HrlWrite[]> {
    const slot = (index: number): number => ((7 * round + index) % 24) * 4 * kib * kib;
    return [
      { diskOffset: slot(0) + 4 * kib, data: randomBytes((300 + 150 * round) * kib) },
      { diskOffset: slot(1), data: new Uint8Array(kib * kib) },
      { diskOffset: slot(2) + 3 * kib * kib, data: randomBytes(512) },
    ];
  }

  async check(): Promise<string> {
    return 'n/a';
  }
}

/** The best guest that this machine can run, or plain records when asked for; `folder` is its scratch space. */
export async function findGuest(folder: string, isPlain: boolean): Promise<Guest> {
  await mkdir(folder, { recursive: true });
  const tools = isPlain ? undefined : await findE2fsprogs();
  return tools ? new Ext4Guest(tools, folder) : new RecordGuest();
}
