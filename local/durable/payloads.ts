// Texts that may be too long for a table's property: those go, compressed, to a blob under the instance's prefix and the row names it.
// A blob is written before the row that names it and is never changed, so a row never names half a text.
import type { ContainerClient } from '@azure/storage-blob';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { StepGuard } from './stepGuard.ts';
import { ignoreMissing, statusCodeOf } from './taskHub.ts';

/** A text and, when it is in a blob, that blob's name. */
export interface StoredText {
  text: string;
  blobName?: string;
}

/** 60 KB in the UTF-16 that a table's 64 KiB limit counts. */
const inlineCharLimit = 30_000;
const compress = promisify(gzip);
const decompress = promisify(gunzip);

/** The storage does not have something that a committed row refers to. */
export class PayloadMissing extends Error {
  constructor(what: string) {
    super(
      `Part of its committed state (${what}) is missing from the storage, which probably lost it in a crash. Start the instance again.`,
    );
    this.name = 'PayloadMissing';
  }
}

export class PayloadStore {
  private readonly container: ContainerClient;
  private readonly guard: StepGuard;

  constructor(container: ContainerClient, guard: StepGuard) {
    this.container = container;
    this.guard = guard;
  }

  /** Makes the text storable; writes a blob only when it is long. */
  async store(instanceId: string, text: string): Promise<StoredText> {
    if (text.length <= inlineCharLimit) return { text };
    const blobName = `${prefixOf(instanceId)}${randomUUID()}.json.gz`;
    const body = await compress(text);
    await this.guard.step('payload.write', () =>
      this.container.getBlockBlobClient(blobName).uploadData(body),
    );
    return { text, blobName };
  }

  /** @throws PayloadMissing when the blob is gone. */
  async load(inline: string, blobName: string): Promise<StoredText> {
    if (blobName === '') return { text: inline };
    try {
      const body = await this.container.getBlockBlobClient(blobName).downloadToBuffer();
      return { text: (await decompress(body)).toString(), blobName };
    } catch (error) {
      throw statusCodeOf(error) === 404 ? new PayloadMissing(`blob ${blobName}`) : error;
    }
  }

  async deleteBlobs(blobNames: readonly string[]): Promise<void> {
    for (const name of blobNames) await ignoreMissing(this.container.deleteBlob(name));
  }

  async deleteAllOf(instanceId: string): Promise<void> {
    for await (const blob of this.container.listBlobsFlat({ prefix: prefixOf(instanceId) })) {
      await ignoreMissing(this.container.deleteBlob(blob.name));
    }
  }
}

function prefixOf(instanceId: string): string {
  return `${encodeURIComponent(instanceId)}/`;
}
