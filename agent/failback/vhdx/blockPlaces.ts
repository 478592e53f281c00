// Where the blocks of a VHDX are, and new ones at the end of its file.
import { blockState, entryOfBlock, readEntry, writeEntry } from '../../disk/vhdx/blockTable.ts';
import { mebibyte } from '../../disk/vhdx/header.ts';
import type { ContainerFile } from '../containerFile.ts';

/** The file grows by this much at a time, in whole blocks, because each growth is flushed. */
const roomBytes = 64 * mebibyte;

export interface BlockTablePlace {
  tableOffsetBytes: number;
  chunkRatio: number;
  blockSizeBytes: number;
}

/**
 * A block gets a place that nothing has used: behind the end of the file, where everything reads as zeros, as the absent block
 * did. The new length of the file is durable before an entry names a place in it; therefore a crash at any moment leaves
 * a file in which every entry is right, and at worst unused space at its end. The entry stands before the first byte of the
 * block is written, so whatever was written is found again.
 */
export class BlockPlaces {
  readonly #file: ContainerFile;
  readonly #table: BlockTablePlace;
  /** Where the next block goes. */
  #endBytes: number;
  /** Growing and entering happen one after another. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(file: ContainerFile, table: BlockTablePlace) {
    this.#file = file;
    this.#table = table;
    this.#endBytes = Math.ceil(file.sizeBytes / mebibyte) * mebibyte;
  }

  /** Offset in the file of a block that is present; others read as zeros. */
  async find(block: number): Promise<number | undefined> {
    const { state, fileOffsetBytes } = readEntry(await this.#file.read(this.#entryAt(block), 8), 0);
    return state === blockState.fullyPresent ? fileOffsetBytes : undefined;
  }

  /** Offset in the file of the block, which is present from then on. May be called for the same block at the same time. */
  make(block: number): Promise<number> {
    return this.#inTurn(async () => (await this.find(block)) ?? (await this.#append(block)));
  }

  /** Gives back what the file grew in advance. */
  trim(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#file.sizeBytes > this.#endBytes) await this.#file.setSize(this.#endBytes);
    });
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }

  #entryAt(block: number): number {
    return this.#table.tableOffsetBytes + entryOfBlock(block, this.#table.chunkRatio) * 8;
  }

  async #append(block: number): Promise<number> {
    const { blockSizeBytes } = this.#table;
    const place = this.#endBytes;
    if (place + blockSizeBytes > this.#file.sizeBytes) {
      await this.#file.setSize(place + Math.max(blockSizeBytes, roomBytes));
      await this.#file.flush();
    }
    // Never used again, even if it is not certain that the entry was written.
    this.#endBytes += blockSizeBytes;
    await this.#file.write(this.#entryAt(block), writeEntry(blockState.fullyPresent, place));
    return place;
  }
}
