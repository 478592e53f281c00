// Removes the receipts of blobs that are gone, with the help of a listing that is made anyway.
// Invariant: a receipt goes only when it was there before the listing began and the listing, which is complete,
// does not show its version: what was written meanwhile keeps its receipt.
import pMap from 'p-map';
import type { BlobReceipts } from './blobReceipts.ts';

/** One listing removes at most so many; the next ones go on. */
const removalsPerListing = 500;
const concurrency = 4;

export class ReceiptSweep {
  readonly #receipts: BlobReceipts;
  readonly #functionNames: readonly string[];
  readonly #container: string;
  /** Receipts whose version the listing has not shown yet. */
  readonly #unseen: Set<string>;

  /** Call before the listing of the container begins. */
  constructor(receipts: BlobReceipts, functionNames: readonly string[], container: string) {
    this.#receipts = receipts;
    this.#functionNames = functionNames;
    this.#container = container;
    this.#unseen = new Set(functionNames.flatMap((name) => receipts.namesFor(name, container)));
  }

  /** Call for each blob of the listing. */
  see(blob: string, etag: string): void {
    const version = { container: this.#container, blob, etag };
    for (const name of this.#functionNames) this.#unseen.delete(this.#receipts.nameOf(name, version));
  }

  /** Call when the listing is complete. Returns the number of receipts removed. */
  async finish(): Promise<number> {
    const obsolete = [...this.#unseen].slice(0, removalsPerListing);
    await pMap(obsolete, (name) => this.#receipts.remove(name), { concurrency });
    return obsolete.length;
  }
}
