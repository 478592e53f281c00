// Block blobs in memory: one `BlobAccount` has the containers, so that a copy can reach another one.
// Clock-free: `lastModified` counts milliseconds from 1970, one a write, which keeps its order meaningful.
import { LifeboatError } from '../../errors.ts';
import { assertBlobName, assertMetadata } from '../blobChecks.ts';
import { assertWithin } from '../pageBounds.ts';
import type { BlobInfo, BlobPort, PageCopySource } from '../ports.ts';

interface StoredBlob {
  data: Uint8Array;
  info: BlobInfo;
}

type Container = Map<string, StoredBlob>;

/** The containers of one account, by name, and the number of writes so far. */
export interface BlobAccount {
  containers: Map<string, Container>;
  writeCount: number;
}

/** An account with these empty containers. */
export function memoryBlobAccount(containerNames: readonly string[]): BlobAccount {
  return {
    containers: new Map(containerNames.map((name) => [name, new Map<string, StoredBlob>()])),
    writeCount: 0,
  };
}

/** Bytes of one version of a blob of the account. Throws as `BlobPort.read` does. */
export function readBlobVersion(
  account: BlobAccount,
  { container, name, etag, offsetBytes }: PageCopySource,
  lengthBytes: number,
): Uint8Array {
  const { data } = getVersion(getContainer(account, container), name, etag);
  assertWithin(name, { offsetBytes, lengthBytes }, data.length);
  return data.slice(offsetBytes, offsetBytes + lengthBytes);
}

/** The port to one container of the account. */
export function memoryBlobs(account: BlobAccount, containerName: string): BlobPort {
  const container = getContainer(account, containerName);
  return {
    async *list(prefix) {
      // Code unit order, which for the names we use is the service's order.
      for (const name of [...container.keys()].sort()) {
        const blob = container.get(name);
        if (blob !== undefined && name.startsWith(prefix)) yield copyOfInfo(blob);
      }
    },
    async find(name) {
      const blob = container.get(name);
      return blob === undefined ? undefined : copyOfInfo(blob);
    },
    async read(name, range, etag) {
      const { offsetBytes, lengthBytes } = range;
      return readBlobVersion(account, { container: containerName, name, etag, offsetBytes }, lengthBytes);
    },
    async put(name, data, metadata = {}) {
      store(account, container, name, { data: data.slice(), metadata });
    },
    async delete(name, etag) {
      if (!container.has(name)) return;
      getVersion(container, name, etag);
      container.delete(name);
    },
    async copyTo(name, etag, targetName, metadata) {
      const target = getContainer(account, targetName);
      const source = getVersion(container, name, etag);
      store(account, target, name, { data: source.data, metadata: { ...source.info.metadata, ...metadata } });
    },
  };
}

function getContainer(account: BlobAccount, name: string): Container {
  const container = account.containers.get(name);
  if (container === undefined)
    throw new LifeboatError('ResourceNotFound', `There is no container "${name}".`);
  return container;
}

function getVersion(container: Container, name: string, etag: string): StoredBlob {
  const blob = container.get(name);
  if (blob === undefined) throw new LifeboatError('BlobNotFound', `${name}: there is no such blob`);
  if (blob.info.etag !== etag)
    throw new LifeboatError('LogChanged', `${name}: the blob is no longer ${etag}`);
  return blob;
}

function store(
  account: BlobAccount,
  container: Container,
  name: string,
  content: { data: Uint8Array; metadata: Readonly<Record<string, string>> },
): void {
  assertBlobName(name);
  assertMetadata(name, content.metadata);
  const version = ++account.writeCount;
  const info: BlobInfo = {
    name,
    sizeBytes: content.data.length,
    etag: `"${version}"`,
    metadata: { ...content.metadata },
    lastModified: new Date(version),
  };
  container.set(name, { data: content.data, info });
}

function copyOfInfo({ info }: StoredBlob): BlobInfo {
  return { ...info, metadata: { ...info.metadata } };
}
