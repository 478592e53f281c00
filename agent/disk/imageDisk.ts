// The reader that all container formats share: a format says where bytes are, this fetches them.
import { createHash } from 'node:crypto';
import { makeUnclearedReadBuffer } from '../../lib/disk/readBuffer.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';
import { ExtentList, requireInside } from './extentList.ts';
import type { ReadInto } from './pageCache.ts';
import type { Placement } from './placement.ts';
import type { DiskChainLink, DiskExtent, DiskFormat, DiskIdentity, DiskReader, FilePlace } from './reader.ts';

/** Pieces of one place that lie nearer than this are read together: one read costs about as much. */
const maxGapBytes = 64 * 1024;
/** A window is located in steps of this, so that the pieces of a huge one are never all in memory. */
const allocationStepBytes = 64 * 1024 * 1024;

/** What a container format provides. */
export interface ImageLayout {
  format: DiskFormat;
  /** The image itself, without its parents. */
  link: DiskChainLink;
  /** What changes whenever the image is written. */
  versionText: string;
  sizeBytes: number;
  logicalSectorSizeBytes: number;
  /** Fills the target from the image's file. */
  readInto: ReadInto;
  /** Of that file, where `readInto` gives its bytes and nothing else. */
  fd?: number | undefined;
  /** The places of a range inside the disk: ascending, covering it exactly; `parent` only where there is a parent. */
  locate: (range: ByteRange) => Promise<readonly Placement[]>;
  closeFile: () => Promise<void>;
}

/** An image with its parent, if it has one, which it owns and closes. */
export class ImageDisk implements DiskReader {
  readonly sizeBytes: number;
  readonly logicalSectorSizeBytes: number;
  readonly identity: DiskIdentity;
  readonly #layout: ImageLayout;
  readonly #parent: DiskReader | undefined;
  #closed: Promise<void> | undefined;

  constructor(layout: ImageLayout, parent?: DiskReader) {
    this.#layout = layout;
    this.#parent = parent;
    this.sizeBytes = layout.sizeBytes;
    this.logicalSectorSizeBytes = layout.logicalSectorSizeBytes;
    const { variant, imageId = '' } = layout.link;
    const hash = createHash('sha256');
    for (const part of [
      variant,
      imageId,
      layout.versionText,
      `${layout.sizeBytes}`,
      parent?.identity.id ?? '',
    ])
      hash.update(`${part.length}:${part};`);
    this.identity = {
      id: hash.digest('hex').slice(0, 32),
      format: layout.format,
      chain: [layout.link, ...(parent?.identity.chain ?? [])],
    };
  }

  async read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array> {
    requireInside(this.#layout.link.location, { offsetBytes, lengthBytes }, this.sizeBytes);
    const bytes = makeUnclearedReadBuffer(lengthBytes);
    await this.readInto(offsetBytes, bytes);
    return bytes;
  }

  async readInto(offsetBytes: number, bytes: Uint8Array): Promise<void> {
    const range = { offsetBytes, lengthBytes: bytes.length };
    requireInside(this.#layout.link.location, range, this.sizeBytes);
    if (bytes.length === 0) return;
    const groups = new Map<number | 'parent', Placement[]>();
    const reads: Promise<void>[] = [];
    const flush = (key: number | 'parent'): void => {
      const group = groups.get(key);
      groups.delete(key);
      if (group) reads.push(this.#readGroup(group, bytes, offsetBytes));
    };
    for (const piece of await this.#layout.locate(range)) {
      const from = piece.offsetBytes - offsetBytes;
      if (piece.place === 'zero') {
        bytes.fill(0, from, from + piece.lengthBytes);
        continue;
      }
      const key = piece.place === 'parent' ? 'parent' : piece.fileOffsetBytes - piece.offsetBytes;
      const last = groups.get(key)?.at(-1);
      if (last && piece.offsetBytes - (last.offsetBytes + last.lengthBytes) > maxGapBytes) flush(key);
      const group = groups.get(key);
      if (group) group.push(piece);
      else groups.set(key, [piece]);
    }
    for (const key of [...groups.keys()]) flush(key);
    // All of them, even when one fails: nobody writes into the buffer, or reads a closed file, after this.
    const failed = (await Promise.allSettled(reads)).find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  async inFile(range: ByteRange): Promise<FilePlace | undefined> {
    const { fd, link } = this.#layout;
    requireInside(link.location, range, this.sizeBytes);
    if (fd === undefined) return undefined;
    const [place, ...others] = await this.#layout.locate(range);
    if (place?.place !== 'file' || others.length > 0) return undefined;
    return { fd, offsetBytes: place.fileOffsetBytes };
  }

  /** Reads the pieces, which lie in one place at one distance, and puts each where it belongs. */
  async #readGroup(group: readonly Placement[], bytes: Uint8Array, originBytes: number): Promise<void> {
    const [first] = group;
    const last = group.at(-1);
    if (!first || !last) return;
    const spanBytes = last.offsetBytes + last.lengthBytes - first.offsetBytes;
    if (first.place === 'file' && group.length === 1) {
      const from = first.offsetBytes - originBytes;
      await this.#layout.readInto(bytes.subarray(from, from + spanBytes), first.fileOffsetBytes);
      return;
    }
    let span: Uint8Array;
    if (first.place === 'file') {
      span = makeUnclearedReadBuffer(spanBytes);
      await this.#layout.readInto(span, first.fileOffsetBytes);
    } else if (this.#parent) span = await this.#parent.read(first.offsetBytes, spanBytes);
    else throw new Error(`${this.#layout.link.location}: a place in a parent, but there is none`);
    for (const { offsetBytes, lengthBytes } of group) {
      const from = offsetBytes - first.offsetBytes;
      bytes.set(span.subarray(from, from + lengthBytes), offsetBytes - originBytes);
    }
  }

  async allocation(window: ByteRange): Promise<DiskExtent[]> {
    requireInside(this.#layout.link.location, window, this.sizeBytes);
    const extents = new ExtentList();
    const end = window.offsetBytes + window.lengthBytes;
    for (let start = window.offsetBytes; start < end; start += allocationStepBytes) {
      const step = { offsetBytes: start, lengthBytes: Math.min(allocationStepBytes, end - start) };
      for (const piece of await this.#layout.locate(step)) {
        if (piece.place !== 'parent') extents.add(piece.place === 'file' ? 'data' : 'zero', piece);
        else if (this.#parent)
          for (const inherited of await this.#parent.allocation(piece))
            extents.add(inherited.kind, inherited);
      }
    }
    return extents.items;
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#closeAll());
  }

  async #closeAll(): Promise<void> {
    try {
      await this.#layout.closeFile();
    } finally {
      await this.#parent?.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
