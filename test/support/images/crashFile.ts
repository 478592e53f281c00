// A container's file in memory that loses power: after a crash, any part of what was not flushed is there, sector by sector;
// of the headers, whose checksums must tell, word by word.
import type { ContainerFile } from '../../../agent/failback/containerFile.ts';
import type { ImageFile } from '../../../agent/disk/imageFile.ts';
import type { SeededRandom } from '../../fuzz/random.ts';

const sectorBytes = 512;
const wordBytes = 8;
const headersEnd = 1024 * 1024;
const noBytes = Buffer.alloc(sectorBytes);

/** Sectors that are not zeros, and a length. Sectors are never changed, only replaced. */
interface Contents {
  sizeBytes: number;
  sectors: Map<number, Buffer>;
}

type Operation = { kind: 'write'; offsetBytes: number; bytes: Buffer } | { kind: 'size'; sizeBytes: number };

const copyOf = ({ sizeBytes, sectors }: Contents): Contents => ({ sizeBytes, sectors: new Map(sectors) });

function resize(contents: Contents, sizeBytes: number): void {
  if (sizeBytes < contents.sizeBytes)
    for (const sector of contents.sectors.keys())
      if (sector * sectorBytes >= sizeBytes) contents.sectors.delete(sector);
  contents.sizeBytes = sizeBytes;
}

/** Writes the parts of `bytes` that are kept; all of it without `isKept`. */
function put(contents: Contents, offsetBytes: number, bytes: Buffer, isKept?: () => boolean): void {
  const end = offsetBytes + bytes.length;
  for (let at = offsetBytes; at < end;) {
    const unitBytes = isKept && at < headersEnd ? wordBytes : sectorBytes;
    const sector = Math.floor(at / sectorBytes);
    const until = Math.min(end, (Math.floor(at / unitBytes) + 1) * unitBytes);
    if (!isKept || isKept()) {
      const next = Buffer.from(contents.sectors.get(sector) ?? noBytes);
      bytes.copy(next, at - sector * sectorBytes, at - offsetBytes, until - offsetBytes);
      contents.sectors.set(sector, next);
      contents.sizeBytes = Math.max(contents.sizeBytes, until);
    }
    at = until;
  }
}

export class PowerLost extends Error {}

export class CrashFile implements ContainerFile, ImageFile {
  readonly path = 'disk.vhdx';
  readonly isDevice = false;
  readonly versionText = '';
  /** Writes, changes of size and flushes that were done. */
  operations = 0;
  /** The operation after so many is not done, nor any later one. */
  stopAfter = Infinity;
  #durable: Contents;
  #seen: Contents;
  #pending: Operation[] = [];
  #isOff = false;

  constructor(contents: Contents) {
    this.#durable = copyOf(contents);
    this.#seen = copyOf(contents);
  }

  static of(bytes: Buffer): CrashFile {
    const contents: Contents = { sizeBytes: 0, sectors: new Map() };
    for (let at = 0; at < bytes.length; at += sectorBytes) {
      const sector = bytes.subarray(at, at + sectorBytes);
      if (!sector.equals(noBytes)) put(contents, at, sector);
    }
    contents.sizeBytes = bytes.length;
    return new CrashFile(contents);
  }

  get sizeBytes(): number {
    return this.#seen.sizeBytes;
  }

  async readInto(target: Uint8Array, offsetBytes: number): Promise<void> {
    await Promise.resolve();
    if (offsetBytes + target.length > this.#seen.sizeBytes) throw new Error(`read past the end`);
    for (let done = 0; done < target.length;) {
      const at = offsetBytes + done;
      const sector = Math.floor(at / sectorBytes);
      const from = at - sector * sectorBytes;
      const length = Math.min(sectorBytes - from, target.length - done);
      target.set((this.#seen.sectors.get(sector) ?? noBytes).subarray(from, from + length), done);
      done += length;
    }
  }

  async read(offsetBytes: number, lengthBytes: number): Promise<Buffer> {
    const bytes = Buffer.alloc(lengthBytes);
    await this.readInto(bytes, offsetBytes);
    return bytes;
  }

  async write(offsetBytes: number, bytes: Uint8Array): Promise<void> {
    this.#begin({ kind: 'write', offsetBytes, bytes: Buffer.from(bytes) });
    await Promise.resolve();
  }

  async setSize(sizeBytes: number): Promise<void> {
    this.#begin({ kind: 'size', sizeBytes });
    await Promise.resolve();
  }

  async flush(): Promise<void> {
    this.#begin();
    this.#durable = copyOf(this.#seen);
    this.#pending = [];
    await Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The operation in which the power goes was begun: any part of it may be there. */
  #begin(operation?: Operation): void {
    if (this.#isOff) throw new PowerLost();
    this.#isOff = this.operations >= this.stopAfter;
    if (operation) this.#pending.push(operation);
    if (this.#isOff) throw new PowerLost();
    this.operations++;
    if (operation?.kind === 'write') put(this.#seen, operation.offsetBytes, operation.bytes);
    else if (operation) resize(this.#seen, operation.sizeBytes);
  }

  /** The file after the power went: of what was not flushed, whatever `random` lets survive. */
  afterPowerLoss(random: SeededRandom): CrashFile {
    const left = copyOf(this.#durable);
    for (const operation of this.#pending) {
      const fate = random.pick(['there', 'there', 'lost', 'torn'] as const);
      if (fate === 'lost') continue;
      if (operation.kind === 'write') {
        const isKept = fate === 'torn' ? () => random.once(2) : undefined;
        put(left, operation.offsetBytes, operation.bytes, isKept);
      } else if (fate === 'there') resize(left, operation.sizeBytes);
    }
    return new CrashFile(left);
  }

  /** The file after the process died, and the system did not. */
  afterDeath(): CrashFile {
    return new CrashFile(this.#seen);
  }
}
