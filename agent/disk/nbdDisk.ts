// A disk behind an NBD server.
import { randomBytes } from 'node:crypto';
import { LifeboatError } from '../../lib/errors.ts';
import type { ByteRange } from '../../lib/storage/ports.ts';
import { NbdClient, type NbdOptions } from '../nbd/client.ts';
import { allocationFlag } from '../nbd/protocol.ts';
import { ExtentList, requireInside } from './extentList.ts';
import type { DiskChainLink, DiskExtent, DiskFormat, DiskIdentity, DiskReader } from './reader.ts';

const sectorBytes = 512;
const allocationContext = 'base:allocation';
/** The largest disk of any source. */
const maxDiskBytes = 64 * 1024 ** 4;

export interface NbdDiskOptions extends NbdOptions {
  /** Names the state that the export shows; a new name for every reader when omitted, since a server tells none. */
  stateId?: string;
  format?: DiskFormat;
  chain?: readonly DiskChainLink[];
  /** Called after the connection is closed. */
  onClose?: () => Promise<void>;
  /** What really happened when the connection failed, if somebody knows better. */
  explain?: (error: unknown) => Promise<unknown>;
}

/** Cuts a range to whole sectors, outwards. */
function sectorsAround({ offsetBytes, lengthBytes }: ByteRange): ByteRange {
  const start = Math.floor(offsetBytes / sectorBytes) * sectorBytes;
  const end = Math.ceil((offsetBytes + lengthBytes) / sectorBytes) * sectorBytes;
  return { offsetBytes: start, lengthBytes: end - start };
}

/** The reader of an export. */
export class NbdDisk implements DiskReader {
  readonly sizeBytes: number;
  readonly logicalSectorSizeBytes = sectorBytes;
  readonly identity: DiskIdentity;
  readonly client: NbdClient;
  readonly #options: NbdDiskOptions;
  readonly #hasAllocation: boolean;
  #closed: Promise<void> | undefined;

  private constructor(client: NbdClient, options: NbdDiskOptions, hasAllocation: boolean) {
    this.client = client;
    this.sizeBytes = client.sizeBytes;
    this.#options = options;
    this.#hasAllocation = hasAllocation;
    const { stateId = randomBytes(16).toString('hex'), format = 'nbd', chain } = options;
    const itself = { location: client.location, variant: 'nbd export', imageId: undefined };
    this.identity = { id: stateId, format, chain: chain ?? [itself] };
  }

  /**
   * Opens an export. Of `base:allocation` it makes use if the server has it; contexts in the options must be there.
   * Throws `SourceUnavailable`, `SourceAnswerInvalid`, and `DiskImageUnsupported` for a size that no disk has.
   */
  static async open(options: NbdDiskOptions): Promise<NbdDisk> {
    const { contexts = [] } = options;
    const { client, hasAllocation } = await NbdClient.connect({
      ...options,
      contexts: [...contexts, allocationContext],
    }).then(
      (connected) => ({ client: connected, hasAllocation: true }),
      async (error: unknown) => {
        const isRefused = error instanceof LifeboatError && error.code === 'SourceAnswerInvalid';
        if (!isRefused) throw error;
        return { client: await NbdClient.connect(options), hasAllocation: false };
      },
    );
    const { sizeBytes, location } = client;
    if (sizeBytes > 0 && sizeBytes % sectorBytes === 0 && sizeBytes <= maxDiskBytes)
      return new NbdDisk(client, options, hasAllocation);
    await client.close();
    throw new LifeboatError('DiskImageUnsupported', `${location}: a disk of ${sizeBytes} bytes.`, {
      target: location,
    });
  }

  async read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array> {
    requireInside(this.client.location, { offsetBytes, lengthBytes }, this.sizeBytes);
    return this.client.read(offsetBytes, lengthBytes).catch((error: unknown) => this.#explain(error));
  }

  async allocation(window: ByteRange): Promise<DiskExtent[]> {
    requireInside(this.client.location, window, this.sizeBytes);
    const extents = new ExtentList();
    if (!this.#hasAllocation) {
      extents.add('data', window);
      return extents.items;
    }
    const end = window.offsetBytes + window.lengthBytes;
    let done = window.offsetBytes;
    const addUntil = (kind: DiskExtent['kind'], to: number): void => {
      if (to <= done) return;
      extents.add(kind, { offsetBytes: done, lengthBytes: to - done });
      done = to;
    };
    await this.client
      .forEachStatus(allocationContext, window, (run) => {
        if ((run.flags & allocationFlag.zero) !== 0) return;
        // A sector that is partly data is data.
        const data = sectorsAround(run);
        addUntil('zero', Math.min(end, Math.max(data.offsetBytes, window.offsetBytes)));
        addUntil('data', Math.min(end, data.offsetBytes + data.lengthBytes));
      })
      .catch((error: unknown) => this.#explain(error));
    addUntil('zero', end);
    return extents.items;
  }

  async #explain(error: unknown): Promise<never> {
    throw (await this.#options.explain?.(error)) ?? error;
  }

  close(): Promise<void> {
    return (this.#closed ??= this.client.close().finally(() => this.#options.onClose?.()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
