// A source host in a test: disks as byte arrays, the protocol as docs/agent-protocol.md has it, none of our agent's code. It
// remembers what every disk was at every cycle, which is what recovery points are compared with.
import { createHash } from 'node:crypto';
import { buildHrl } from '../../lib/hrl/writer.ts';
import type { HrlWrite } from '../../lib/hrl/writer.ts';
import { stableGuid } from '../../lib/ids.ts';
import { blockCount, coarseBlockBytes, fineBlockBytes, segmentCount } from '../../lib/resync/blocks.ts';
import { encodeCoarse, parseCoarse, parseFine } from '../../lib/resync/digestFormat.ts';
import { scrubScopes } from '../../lib/resync/names.ts';
import type { ApiResponse } from '../../lib/api/http.ts';
import type { TestApi } from './api.ts';
import { randomSource } from './protectedVm.ts';

const sectorBytes = 512;
const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

export interface Assignment {
  item: string;
  phase: string;
  appliedCycle: number;
  nextCycle: number;
  snapshot: string;
  retry: { side: string; code: string; nextAttemptAt: string | null } | null;
  resync: { generation: number; phase: string; isPaused: boolean; disks: { disk: string }[] } | null;
  scrub: { scrubId: string; cycle: number | null } | null;
  disks: {
    disk: string;
    sizeBytes: number;
    joinedAtCycle: number | null;
    initialReplication: { state: string; isQueued: boolean; blobName: string; uploadUrl?: string };
    delta: {
      blobName: string;
      metadata: Record<string, string>;
      previousUniqueId: string | null;
      isUploaded: boolean;
    };
  }[];
}

export interface SentLog {
  name: string;
  bytes: Uint8Array;
  metadata: Record<string, string>;
}

export class SimulatedSource {
  readonly item: string;
  readonly disks: Map<string, Uint8Array>;
  /** The disk as it was when the cycle was cut: `<cycle>/<disk>` → its size and its SHA-256 in hex. */
  readonly history = new Map<string, { sizeBytes: number; sha256: string }>();
  readonly random: (below: number) => number;
  readonly #api: TestApi;
  readonly #lastLogIds = new Map<string, string>();
  readonly #written = new Set<string>();
  #logCount = 0;
  /** The cycle that was cut last: one that the service asks for again was lost on its way. */
  lastCut = 0;

  constructor(api: TestApi, item: string, sizes: Record<string, number>, seed = 1) {
    this.#api = api;
    this.item = item;
    this.random = randomSource(seed);
    this.disks = new Map(
      Object.entries(sizes).map(([disk, size]) => {
        const bytes = new Uint8Array(size);
        for (let offset = 0; offset < size; offset += 4096) bytes[offset] = this.random(256);
        return [disk, bytes];
      }),
    );
  }

  get #storage() {
    return this.#api.context.replication.storage;
  }

  async #agent(method: string, path: string, body?: unknown): Promise<ApiResponse> {
    const answer = await this.#api.call(method, `/agent/v1/items/${this.item}${path}`, body);
    if (answer.status >= 400)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer;
  }

  async assignment(): Promise<Assignment> {
    const answer = await this.#api.call('GET', '/agent/v1/assignments');
    const all = (answer.body as { value: Assignment[] }).value;
    const found = all.find(({ item }) => item === this.item);
    if (!found) throw new Error(`there is no assignment for ${this.item}`);
    return found;
  }

  report(code: string, message: string, disks?: string[]): Promise<ApiResponse> {
    return this.#agent('POST', '/failures', { code, message, ...(disks ? { disks } : {}) });
  }

  /** Copies the disks that the assignment lets it copy, at one moment, and says so. */
  async copyDisks(pointInTime?: string): Promise<void> {
    const { disks } = await this.assignment();
    await this.#agent('POST', '/snapshot', { state: 'taken' });
    for (const { disk, initialReplication } of disks) {
      if (initialReplication.state !== 'pending') continue;
      // What was written is not written again: the answer to the end of the copy was lost.
      if (!this.#written.has(disk)) await this.writePages(disk, initialReplication.blobName);
      this.#written.add(disk);
      await this.complete(disk, pointInTime);
    }
  }

  /** Protection begins anew: nothing of the disks is at the service. */
  startOver(): void {
    this.#written.clear();
    this.#lastLogIds.clear();
    this.lastCut = 0;
  }

  async writePages(disk: string, blobName: string): Promise<void> {
    const bytes = this.#disk(disk);
    for (let offset = 0; offset < bytes.length; offset += 2 ** 20)
      await this.#storage.replicas.writePages(blobName, offset, bytes.slice(offset, offset + 2 ** 20));
  }

  complete(disk: string, pointInTime?: string): Promise<ApiResponse> {
    return this.#agent(
      'POST',
      `/disks/${disk}/initialReplication/complete`,
      pointInTime ? { pointInTime } : undefined,
    );
  }

  releaseSnapshot(): Promise<ApiResponse> {
    return this.#agent('POST', '/snapshot', { state: 'released' });
  }

  #disk(disk: string): Uint8Array {
    const bytes = this.disks.get(disk);
    if (!bytes) throw new Error(`the source has no disk ${disk}`);
    return bytes;
  }

  #change(disk: Uint8Array, count: number): HrlWrite[] {
    return Array.from({ length: count }, () => {
      const sectors = disk.length / sectorBytes;
      const first = this.random(sectors);
      const data = new Uint8Array((1 + this.random(Math.min(32, sectors - first))) * sectorBytes);
      if (this.random(4) > 0) data.fill(1 + this.random(255));
      disk.set(data, first * sectorBytes);
      return { diskOffset: first * sectorBytes, data };
    });
  }

  #log(disk: string, cycle: number, writes: readonly HrlWrite[], metadata: Record<string, string>): SentLog {
    const now = this.#api.context.replication.clock.now();
    const uniqueId = stableGuid(this.item, disk, ++this.#logCount);
    const previous = metadata['kind'] === 'resync' ? undefined : this.#lastLogIds.get(disk);
    const bytes = buildHrl(writes, {
      uniqueId,
      createdAt: now,
      ...(previous ? { previousUniqueId: previous } : {}),
    });
    this.#lastLogIds.set(disk, uniqueId);
    this.lastCut = cycle;
    const view = this.#disk(disk);
    this.history.set(`${cycle}/${disk}`, { sizeBytes: view.length, sha256: sha256(view).toString('hex') });
    return {
      name: `${this.item}/${String(cycle).padStart(12, '0')}/${disk}.hrl`,
      bytes,
      metadata: { ...metadata, sha256: sha256(bytes).toString('hex'), takenat: now.toISOString() },
    };
  }

  /** Changes the disks and cuts the logs of a cycle as the assignment wants them; nothing is sent. */
  cutCycle(assignment: Assignment, cycle = assignment.nextCycle, writes = 3): SentLog[] {
    return assignment.disks
      .filter(({ initialReplication }) => initialReplication.state === 'complete')
      .map(({ disk, delta }) =>
        this.#log(disk, cycle, this.#change(this.#disk(disk), writes), delta.metadata),
      );
  }

  async send(...logs: readonly SentLog[]): Promise<void> {
    for (const { name, bytes, metadata } of logs) await this.#storage.deltas.put(name, bytes, metadata);
  }

  /** Goes on after logs that somebody else cut: the next ones follow those that the assignment names. */
  continueFrom(assignment: Assignment): void {
    for (const { disk, delta } of assignment.disks)
      if (delta.previousUniqueId !== null) this.#lastLogIds.set(disk, delta.previousUniqueId);
  }

  /** The log that was applied last to every disk is the one that was cut last. */
  agreesWith({ disks }: Assignment): boolean {
    return disks.every(({ disk, delta }) => delta.previousUniqueId === (this.#lastLogIds.get(disk) ?? null));
  }

  /** One ordinary cycle, from the assignment to the upload. */
  async cycle(writes = 3): Promise<number> {
    const assignment = await this.assignment();
    await this.send(...this.cutCycle(assignment, assignment.nextCycle, writes));
    return assignment.nextCycle;
  }

  /** Forgets a log that was cut: it never arrives. */
  lose(logs: readonly SentLog[], disk: string): SentLog[] {
    return logs.filter(({ name }) => !name.endsWith(`/${disk}.hrl`));
  }

  /** Compares the disks with the service's digests; the writes that make the replica equal, for each disk. */
  async compare(assignment: Assignment): Promise<Map<string, HrlWrite[]>> {
    const { resync } = assignment;
    if (resync?.phase !== 'comparing') throw new Error('there is nothing to compare');
    const found = new Map<string, HrlWrite[]>();
    for (const { disk } of resync.disks) found.set(disk, await this.#compareDisk(disk, resync.generation));
    return found;
  }

  async #compareDisk(disk: string, generation: number): Promise<HrlWrite[]> {
    const bytes = this.#disk(disk);
    const scope = { item: this.item, disk, generation: String(generation) };
    const path = `/disks/${disk}/resync/${generation}`;
    const different: number[] = [];
    for (let segment = 0; segment < segmentCount(bytes.length); segment++) {
      const { bytes: manifest } = await this.#agent('GET', `${path}/coarse/${segment}`);
      const theirs = parseCoarse(manifest!, { scope, diskSizeBytes: bytes.length, segment });
      for (let index = 0; index * 32 < theirs.length; index++) {
        const block = segment * 4096 + index;
        const mine = sha256(bytes.subarray(block * coarseBlockBytes, (block + 1) * coarseBlockBytes));
        if (!mine.equals(theirs.subarray(index * 32, index * 32 + 32))) different.push(block);
      }
    }
    if (different.length === 0) return [];
    const { bytes: answer } = await this.#agent('POST', `${path}/fine`, { coarseBlocks: different });
    const fine = parseFine(answer!, { scope, diskSizeBytes: bytes.length, coarseBlocks: different });
    return this.#fineWrites(bytes, different, fine);
  }

  #fineWrites(bytes: Uint8Array, coarseBlocks: readonly number[], fine: Uint8Array): HrlWrite[] {
    const writes: HrlWrite[] = [];
    let position = 0;
    for (const coarse of coarseBlocks) {
      const begin = coarse * coarseBlockBytes;
      const end = Math.min(bytes.length, begin + coarseBlockBytes);
      for (let offset = begin; offset < end; offset += fineBlockBytes) {
        const data = bytes.slice(offset, Math.min(end, offset + fineBlockBytes));
        if (!sha256(data).equals(fine.subarray(position, position + 32)))
          writes.push({ diskOffset: offset, data });
        position += 32;
      }
    }
    return writes;
  }

  /** Answers a resynchronization: compares, and sends the cycle that carries the differences. */
  async resynchronize(): Promise<number> {
    const assignment = await this.assignment();
    const differences = await this.compare(assignment);
    const logs = assignment.disks.map(({ disk, delta }) => {
      const writes = differences.get(disk) ?? [];
      // A disk that is not resynchronized sends what it has tracked, as ever.
      const own = differences.has(disk) ? writes : this.#change(this.#disk(disk), 2);
      return this.#log(disk, assignment.nextCycle, own, delta.metadata);
    });
    await this.send(...logs);
    return assignment.nextCycle;
  }

  /** Answers a scrub: cuts a cycle and publishes digests of the same view. */
  async scrubCycle(tamper: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes): Promise<number> {
    const assignment = await this.assignment();
    const scrubId = assignment.scrub!.scrubId;
    const logs = this.cutCycle(assignment);
    for (const disk of this.disks.keys()) {
      const bytes = tamper(this.#disk(disk));
      const digests = Array.from({ length: blockCount(bytes.length, coarseBlockBytes) }, (_, block) =>
        sha256(bytes.subarray(block * coarseBlockBytes, (block + 1) * coarseBlockBytes)),
      );
      const scope = scrubScopes(this.item, disk, scrubId).source;
      const subject = { scope, diskSizeBytes: bytes.length, segment: 0 };
      await this.#agentBytes(
        `/disks/${disk}/scrubs/${scrubId}/coarse/0`,
        encodeCoarse(subject, Buffer.concat(digests)),
      );
    }
    await this.#agent('POST', `/scrubs/${scrubId}/complete`, { cycle: assignment.nextCycle });
    await this.send(...logs);
    return assignment.nextCycle;
  }

  async #agentBytes(path: string, bytes: Uint8Array): Promise<void> {
    const answer = await this.#api.callBytes('PUT', `/agent/v1/items/${this.item}${path}`, bytes);
    if (answer.status >= 400) throw new Error(`PUT ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }

  /** Adds a disk, or makes one longer, on the source. */
  resize(disk: string, sizeBytes: number): void {
    const grown = new Uint8Array(sizeBytes);
    grown.set(this.disks.get(disk) ?? []);
    this.disks.set(disk, grown);
  }
}
