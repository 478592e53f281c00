// The tables of an image (block tables, sector bitmaps) in pages, the last used ones kept: a table of a 64 TiB disk has
// 512 MiB, and reads mostly stay near each other.

/** Fills the whole target from an offset of the file. */
export type ReadInto = (target: Uint8Array, offsetBytes: number) => Promise<void>;

const pageBytes = 16 * 1024;
/** 4 MiB for each image. */
const maxPages = 256;

/** Reads through pages. Requests for the same page at the same time share one read; a failed one is forgotten. */
export class PageCache {
  readonly #readInto: ReadInto;
  readonly #sizeBytes: number;
  readonly #pages = new Map<number, Promise<Buffer>>();

  /** `sizeBytes` is that of the file: the last page is cut there. */
  constructor(readInto: ReadInto, sizeBytes: number) {
    this.#readInto = readInto;
    this.#sizeBytes = sizeBytes;
  }

  /** The bytes must lie in the file. */
  async read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    const end = offsetBytes + lengthBytes;
    const first = Math.floor(offsetBytes / pageBytes);
    if (end <= (first + 1) * pageBytes) {
      const from = offsetBytes - first * pageBytes;
      return (await this.#page(first)).subarray(from, from + lengthBytes);
    }
    const bytes = Buffer.allocUnsafe(lengthBytes);
    for (let index = first; index * pageBytes < end; index++) {
      const page = await this.#page(index);
      const start = index * pageBytes;
      const from = Math.max(offsetBytes, start);
      page.copy(bytes, from - offsetBytes, from - start, Math.min(end - start, page.length));
    }
    return bytes;
  }

  #page(index: number): Promise<Buffer> {
    let page = this.#pages.get(index);
    if (page === undefined) {
      page = this.#load(index);
      page.catch(() => this.#pages.delete(index));
      for (const [oldest] of this.#pages) {
        if (this.#pages.size < maxPages) break;
        this.#pages.delete(oldest);
      }
    } else this.#pages.delete(index);
    // A Map keeps the order of insertion: the last used is always last.
    this.#pages.set(index, page);
    return page;
  }

  async #load(index: number): Promise<Buffer> {
    const start = index * pageBytes;
    const page = Buffer.allocUnsafe(Math.min(pageBytes, this.#sizeBytes - start));
    await this.#readInto(page, start);
    return page;
  }
}
