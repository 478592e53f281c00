// What both benchmarks of replication do: protect a machine with one disk, upload the log of a cycle, wait for its
// recovery point.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Service, SourceHost } from '../../test/e2e/client.ts';
import type { PlainWrite } from '../../test/support/independentHrl.ts';
import type { HostSession } from '../hostSession.ts';

const disk = 'os';
const pollMs = 20;
const waitMs = 300_000;

export class BenchMachine {
  readonly source: SourceHost;
  readonly #item: string;
  readonly #itemPath: string;
  #cycle = 0;

  private constructor(source: SourceHost, item: string, itemPath: string) {
    this.source = source;
    this.#item = item;
    this.#itemPath = itemPath;
  }

  /** Protects a machine with one disk of zeros, whose initial replication is done. */
  static async protect(session: HostSession, item: string, sizeBytes: number): Promise<BenchMachine> {
    const source = new SourceHost(session.address as unknown as Service);
    const itemPath = await source.protect(item, { [disk]: sizeBytes });
    await source.replicate(item, { [disk]: new Uint8Array(sizeBytes) });
    return new BenchMachine(source, item, itemPath);
  }

  /** Uploads the next cycle's log; returns the time from the answer to the upload until its recovery point is listed. */
  async runCycle(writes: readonly PlainWrite[]): Promise<number> {
    this.#cycle++;
    const log = this.source.cutLog(this.#item, disk, writes);
    await this.source.putLog(`${this.#item}/${String(this.#cycle).padStart(12, '0')}/${disk}.hrl`, log);
    const uploadedAt = performance.now();
    const deadline = uploadedAt + waitMs;
    while ((await this.source.points(this.#itemPath)).length < this.#cycle) {
      if (performance.now() > deadline)
        throw new Error(`Cycle ${this.#cycle} did not become a recovery point.`);
      await sleep(pollMs);
    }
    return performance.now() - uploadedAt;
  }
}
