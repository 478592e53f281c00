// A client of a host that may be gone at any moment: whatever was not answered is asked again, under the same id, until
// the host is back. What the host has acknowledged it must know for ever: an unknown instance after that is an error.
import { setTimeout as sleep } from 'node:timers/promises';
import { BlobServiceClient } from '@azure/storage-blob';
import type { HostAddress } from './hostProcess.ts';
import { Orchestrations, type Status } from './orchestrations.ts';
import type { WorkItem } from './workload.ts';

/** Pauses grow: clients that ask all the time would slow down what they wait for. */
const firstPauseMs = 30;
const longestPauseMs = 400;

/** Something that repeating will not mend. */
class FinalError extends Error {}

export class PatientClient {
  /** Where the host was last seen; the sweep sets it after every start. */
  address: HostAddress;
  readonly #patienceMs: number;
  readonly #orchestrations: Orchestrations;
  #acknowledged: () => void = () => undefined;

  constructor(address: HostAddress, patienceMs: number) {
    this.address = address;
    this.#patienceMs = patienceMs;
    this.#orchestrations = new Orchestrations({ url: () => this.address.url, patienceMs });
  }

  /** Resolves when the host has next acknowledged a start, an event or an upload: a good moment to kill it. */
  nextAcknowledgement(): Promise<void> {
    return new Promise((resolve) => (this.#acknowledged = resolve));
  }

  /** Starts the work, raises its events, waits for its end, and returns what was wrong with it, if anything. */
  async complete(item: WorkItem): Promise<string | undefined> {
    try {
      await this.#start(item);
      for (const event of item.events) await this.#raise(item.id, event);
      const { runtimeStatus, output } = await this.#finish(item.id);
      const isRight = runtimeStatus === 'Completed' && JSON.stringify(output) === JSON.stringify(item.output);
      return isRight
        ? undefined
        : `${item.id} (${item.orchestration}): ${runtimeStatus} ${JSON.stringify(output)}`;
    } catch (error) {
      return `${item.id} (${item.orchestration}): ${String(error)}`;
    }
  }

  async upload(container: string, name: string, text: string): Promise<void> {
    await this.#repeat(`upload of ${name}`, async () => {
      const options = { retryOptions: { maxTries: 1 } };
      const service = BlobServiceClient.fromConnectionString(this.address.storageConnectionString, options);
      const client = service.getContainerClient(container);
      await client.createIfNotExists();
      await client.getBlockBlobClient(name).upload(text, Buffer.byteLength(text));
      this.#acknowledged();
      return true;
    });
  }

  #start({ id, orchestration, input }: WorkItem): Promise<true> {
    return this.#repeat(`start of ${id}`, async () => {
      const response = await this.#orchestrations.tryStart(orchestration, input, id);
      if (response.ok) this.#acknowledged();
      const text = await response.text();
      // 409: an earlier request did start it, and only its answer got lost.
      if (response.ok || response.status === 409) return true;
      if (response.status < 500) throw new FinalError(`${response.status} ${text}`);
      return undefined;
    });
  }

  #raise(id: string, { name, payload }: WorkItem['events'][number]): Promise<true> {
    return this.#repeat(`event ${name} for ${id}`, async () => {
      const code = await this.#orchestrations.raise(id, name, payload);
      if (code === 202) this.#acknowledged();
      // 410: an earlier request did raise it, and the instance has ended since.
      if (code === 202 || code === 410) return true;
      if (code < 500) throw new FinalError(`event ${name} was answered with ${code}`);
      return undefined;
    });
  }

  #finish(id: string): Promise<Status> {
    return this.#repeat(`end of ${id}`, async () => {
      const status = await this.#orchestrations.findStatus(id);
      if (status === undefined)
        throw new FinalError('the host has forgotten an instance that it had acknowledged');
      return ['Completed', 'Failed', 'Terminated'].includes(status.runtimeStatus) ? status : undefined;
    });
  }

  async #repeat<T>(what: string, attempt: () => Promise<T | undefined>): Promise<T> {
    const deadline = Date.now() + this.#patienceMs;
    let lastError: unknown = 'no result';
    for (
      let pauseMs = firstPauseMs;
      Date.now() < deadline;
      pauseMs = Math.min(pauseMs * 1.5, longestPauseMs)
    ) {
      try {
        const result = await attempt();
        if (result !== undefined) return result;
      } catch (error) {
        if (error instanceof FinalError) throw error;
        lastError = error;
      }
      await sleep(pauseMs);
    }
    throw new Error(`${what}: nothing within ${this.#patienceMs / 1000} s, at last ${String(lastError)}`);
  }
}
