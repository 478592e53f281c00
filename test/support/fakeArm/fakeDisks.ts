// The bytes behind the managed disks of the fake: disks that a guest writes, snapshots that keep still, and the blob service
// through which a snapshot is read while access to it is granted. Over real HTTP on loopback; it refuses what the service would
// refuse. Trouble is scripted: no comparison of snapshots, one that leaves something out, answers that are cut.
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const pageBytes = 512;

interface Snapshot {
  disk: string;
  /** Snapshots of one disk are ordered by it. */
  number: number;
  /** With the footer. */
  bytes: Buffer;
}

interface Grant {
  snapshot: string;
  sig: string;
}

class BlobRefusal extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

export class FakeDisks {
  /** By the ARM id in lower case; without footer. */
  readonly disks = new Map<string, Buffer>();
  readonly snapshots = new Map<string, Snapshot>();
  /** Access that was granted and not taken back, by the id of its policy. */
  readonly grants = new Map<string, Grant>();
  /** `METHOD what` of every request, in order; `diff` is a comparison of snapshots. */
  readonly requests: string[] = [];
  /** The service compares no snapshots. */
  refusesDiff = false;
  /** A comparison does not name its first difference. */
  diffOmitsFirst = false;
  /** Ranges in one answer; the rest needs another request. */
  rangesPerAnswer = Infinity;
  #server: Server | undefined;
  #port = 0;

  async listen(): Promise<this> {
    this.#server = createServer((request, response) => this.#serve(request, response));
    await new Promise<void>((resolve) => this.#server?.listen(0, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => (this.#server ? this.#server.close(resolve) : resolve(undefined)));
  }

  takeSnapshot(key: string, disk: string): void {
    const bytes = this.disks.get(disk);
    if (!bytes) throw new Error(`no disk ${disk}`);
    const footer = Buffer.alloc(pageBytes, 'conectix');
    this.snapshots.set(key, { disk, number: this.snapshots.size, bytes: Buffer.concat([bytes, footer]) });
  }

  hasAccess(key: string): boolean {
    return [...this.grants.values()].some(({ snapshot }) => snapshot === key);
  }

  grant(snapshot: string): string {
    const [policy, sig] = [randomUUID(), randomUUID()];
    this.grants.set(policy, { snapshot, sig });
    return `http://127.0.0.1:${this.#port}/md-fake/${policy}/abcd?sv=2018-03-28&sr=b&si=${policy}&sig=${sig}`;
  }

  revoke(key: string): void {
    for (const [policy, { snapshot }] of this.grants) if (snapshot === key) this.grants.delete(policy);
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    try {
      const url = new URL(request.url ?? '', `http://127.0.0.1:${this.#port}`);
      const snapshot = this.#authorize(url);
      this.#requireHeaders(request);
      response.setHeader('x-ms-blob-type', 'PageBlob');
      response.setHeader('etag', '"0x1"');
      response.setHeader('last-modified', new Date(0).toUTCString());
      if (request.method === 'HEAD') {
        this.requests.push('HEAD');
        response.setHeader('content-length', snapshot.bytes.length);
        response.end();
      } else if (request.method !== 'GET') throw new BlobRefusal(405, 'UnsupportedHttpVerb');
      else if (url.searchParams.get('comp') === 'pagelist')
        this.#listPages(request, response, snapshot, Number(url.searchParams.get('marker') ?? 0));
      else if (url.searchParams.has('comp')) throw new BlobRefusal(400, 'InvalidQueryParameterValue');
      else this.#read(request, response, snapshot);
    } catch (error) {
      if (!(error instanceof BlobRefusal)) throw error;
      const { status, code } = error;
      response.writeHead(status, { 'x-ms-error-code': code, 'content-type': 'application/xml' });
      response.end(
        request.method === 'HEAD' ? '' : `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`,
      );
    }
  }

  #authorize(url: URL): Snapshot {
    const [, , policy = ''] = url.pathname.split('/');
    const grant = this.grants.get(policy);
    const isGood =
      url.searchParams.get('si') === policy &&
      grant !== undefined &&
      url.searchParams.get('sig') === grant.sig;
    if (!isGood) throw new BlobRefusal(403, 'AuthenticationFailed');
    const snapshot = this.snapshots.get(grant.snapshot);
    if (!snapshot) throw new BlobRefusal(404, 'BlobNotFound');
    return snapshot;
  }

  #requireHeaders({ headers }: IncomingMessage): void {
    if (headers.authorization !== undefined) throw new BlobRefusal(400, 'InvalidAuthenticationInfo');
    if (String(headers['x-ms-version'] ?? '') < '2019-07-07')
      throw new BlobRefusal(400, 'InvalidHeaderValue');
  }

  #rangeOf({ headers }: IncomingMessage, { bytes }: Snapshot): { start: number; end: number } {
    const text = headers['x-ms-range'] ?? headers.range;
    const match = /^bytes=(\d+)-(\d+)$/.exec(String(text));
    if (!match) throw new BlobRefusal(400, 'InvalidRange');
    const [start, end] = [Number(match[1]), Number(match[2]) + 1];
    if (start >= bytes.length || end > bytes.length || start >= end)
      throw new BlobRefusal(416, 'InvalidRange');
    return { start, end };
  }

  #read(request: IncomingMessage, response: ServerResponse, snapshot: Snapshot): void {
    this.requests.push('GET bytes');
    const { start, end } = this.#rangeOf(request, snapshot);
    const body = snapshot.bytes.subarray(start, end);
    response.writeHead(206, {
      'content-length': body.length,
      'content-range': `bytes ${start}-${end - 1}/${snapshot.bytes.length}`,
    });
    response.end(body);
  }

  /** The pages in the range that `isThere`, as half-open runs. */
  #runs(start: number, end: number, isThere: (at: number) => boolean): { start: number; end: number }[] {
    const runs: { start: number; end: number }[] = [];
    for (let at = start; at < end; at += pageBytes) {
      if (!isThere(at)) continue;
      const last = runs.at(-1);
      if (last?.end === at) last.end += pageBytes;
      else runs.push({ start: at, end: at + pageBytes });
    }
    return runs;
  }

  #listPages(request: IncomingMessage, response: ServerResponse, snapshot: Snapshot, from: number): void {
    const { start, end } = this.#rangeOf(request, snapshot);
    if (start % pageBytes !== 0 || end % pageBytes !== 0) throw new BlobRefusal(400, 'InvalidPageRange');
    const previousUrl = request.headers['x-ms-previous-snapshot-url'];
    this.requests.push(previousUrl === undefined ? 'GET ranges' : 'GET diff');
    const earlier = previousUrl === undefined ? undefined : this.#previous(String(previousUrl), snapshot);
    const page = (bytes: Buffer, at: number): Buffer => bytes.subarray(at, at + pageBytes);
    const isZero = (at: number): boolean => page(snapshot.bytes, at).every((byte) => byte === 0);
    const differs = (at: number): boolean =>
      !earlier || !page(earlier.bytes, at).equals(page(snapshot.bytes, at));
    const all = [
      ...this.#runs(start, end, (at) => differs(at) && !isZero(at)).map((run) => ({
        ...run,
        tag: 'PageRange',
      })),
      ...(earlier
        ? this.#runs(start, end, (at) => differs(at) && isZero(at)).map((run) => ({
            ...run,
            tag: 'ClearRange',
          }))
        : []),
    ].sort((a, b) => a.start - b.start);
    if (earlier && this.diffOmitsFirst) all.shift();
    const shown = all.slice(from, from + this.rangesPerAnswer);
    const next = from + shown.length;
    const xml = ['PageRange', 'ClearRange'].flatMap((tag) =>
      shown
        .filter((each) => each.tag === tag)
        .map((run) => `<${tag}><Start>${run.start}</Start><End>${run.end - 1}</End></${tag}>`),
    );
    response.writeHead(200, {
      'content-type': 'application/xml',
      'x-ms-blob-content-length': snapshot.bytes.length,
    });
    const marker = next < all.length ? `<NextMarker>${next}</NextMarker>` : '';
    response.end(`<?xml version="1.0" encoding="utf-8"?><PageList>${xml.join('')}${marker}</PageList>`);
  }

  #previous(url: string, snapshot: Snapshot): Snapshot {
    if (this.refusesDiff) throw new BlobRefusal(409, 'PreviousSnapshotOperationNotSupported');
    const earlier = this.#authorize(new URL(url));
    if (earlier.disk !== snapshot.disk) throw new BlobRefusal(409, 'PreviousSnapshotNotFound');
    if (earlier.number >= snapshot.number) throw new BlobRefusal(400, 'PreviousSnapshotCannotBeNewer');
    return earlier;
  }
}
