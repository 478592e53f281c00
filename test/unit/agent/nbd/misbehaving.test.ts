// Servers that lie, stall and flood: each is refused by name, soon, and without memory that it did not earn.
import { afterEach, describe, expect, it } from 'vitest';
import { NbdDisk } from '../../../../agent/disk/nbdDisk.ts';
import { NbdClient, type NbdOptions } from '../../../../agent/nbd/client.ts';
import { FilledRanges } from '../../../../agent/nbd/reply.ts';
import { SeededRandom } from '../../../fuzz/random.ts';
import {
  chunk,
  optionReply,
  startScriptedNbd,
  uint16,
  uint32,
  uint64,
  type NbdRequest,
  type NbdScript,
} from '../../../support/scriptedNbd.ts';

let close: () => void = () => undefined;
afterEach(() => close());

async function connect(script: NbdScript, options: Partial<NbdOptions> = {}): Promise<NbdClient> {
  const server = await startScriptedNbd(script);
  close = () => server.close();
  return NbdClient.connect({
    socket: { host: '127.0.0.1', port: server.port },
    exportName: 'disk',
    connectTimeoutMs: 30_000,
    idleTimeoutMs: 30_000,
    ...options,
  });
}

const info = (type: number, ...fields: Buffer[]): Buffer =>
  Buffer.concat([optionReply(7, 3, Buffer.concat([uint16(type), ...fields])), optionReply(7, 1)]);
const only = (option: number, answer: Buffer): NbdScript => ({
  onOption: (asked) => (asked === option ? answer : undefined),
});

describe('an agreement is refused', () => {
  const contexts = ['base:allocation'];
  it.each<[string, NbdScript, string, Partial<NbdOptions>?]>([
    [
      'when it is no NBD server',
      { hello: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') },
      'fixed newstyle',
    ],
    [
      'of the old style',
      { hello: Buffer.concat([Buffer.from('NBDMAGICIHAVEOPT'), uint16(0)]) },
      'fixed newstyle',
    ],
    ['with a reply to another option', only(8, optionReply(7, 1)), 'no option that was sent'],
    ['with a reply of 4 GiB', only(8, optionReply(8, 3, Buffer.alloc(0), 2 ** 32 - 1)), '4294967295 bytes'],
    [
      'with replies for ever',
      only(7, Buffer.concat(Array.from({ length: 300 }, () => optionReply(7, 3, uint16(9))))),
      'too many',
    ],
    ['without a size', only(7, optionReply(7, 1)), 'does not say the size'],
    ['with a size that is none', only(7, info(0, uint64(2n ** 63n), uint16(3))), '9223372036854775808 bytes'],
    [
      'of an export that is not there',
      only(7, optionReply(7, 2 ** 31 + 6, Buffer.from('no\x1b[31m such'))),
      'no such export (no [31m such)',
    ],
    ['that demands TLS', only(7, optionReply(7, 2 ** 31 + 5)), 'demands TLS'],
    [
      'without the context',
      only(10, optionReply(10, 1)),
      'no metadata context base:allocation',
      { contexts },
    ],
    [
      'with a context nobody asked for',
      only(
        10,
        Buffer.concat([optionReply(10, 4, Buffer.concat([uint32(1), Buffer.from('x')])), optionReply(10, 1)]),
      ),
      'no metadata context',
      { contexts },
    ],
    [
      'without structured replies where contexts are needed',
      only(8, optionReply(8, 2 ** 31 + 1)),
      'structured replies',
      { contexts },
    ],
    [
      'with impossible block sizes',
      only(
        7,
        Buffer.concat([
          optionReply(7, 3, Buffer.concat([uint16(0), uint64(4096), uint16(3)])),
          info(3, uint32(3), uint32(4096), uint32(4096)),
        ]),
      ),
      'blocks of 3',
    ],
  ])('%s', async (_, script, reason, options = {}) => {
    const error: unknown = await connect(script, options).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'SourceAnswerInvalid' });
    expect(String(error)).toContain(reason);
  });

  it('when the server says nothing, hangs up, or is not there', async () => {
    const silent = connect({ hello: Buffer.alloc(0) }, { connectTimeoutMs: 100 });
    await expect(silent).rejects.toMatchObject({ code: 'SourceUnavailable' });
    const { port, close: end } = await startScriptedNbd({});
    end();
    const options = { socket: { host: '127.0.0.1', port }, exportName: '' };
    await expect(NbdClient.connect(options)).rejects.toMatchObject({ code: 'SourceUnavailable' });
  });

  it('of a disk of a size that no disk has', async () => {
    const server = await startScriptedNbd({ sizeBytes: 1000 });
    close = () => server.close();
    const socket = { host: '127.0.0.1', port: server.port };
    await expect(NbdDisk.open({ socket, exportName: 'disk' })).rejects.toMatchObject({
      code: 'DiskImageUnsupported',
    });
  });
});

const data = (request: NbdRequest, offset: number, length: number, isLast = true): Buffer =>
  chunk(request, 1, Buffer.concat([uint64(request.offset + BigInt(offset)), Buffer.alloc(length, 7)]), {
    isLast,
  });

describe('a read', () => {
  it('may be answered in pieces, holes among them, in any order', async () => {
    const client = await connect({
      onRequest: (request) =>
        Buffer.concat([
          data(request, 3000, 1096, false),
          chunk(request, 2, Buffer.concat([uint64(request.offset + 1000n), uint32(2000)]), { isLast: false }),
          data(request, 0, 1000, false),
          chunk(request, 0),
        ]),
    });
    const expected = Buffer.alloc(4096, 7).fill(0, 1000, 3000);
    expect((await client.read(8192, 4096)).equals(expected)).toBe(true);
    await client.close();
  });

  it('that fails leaves the connection as it was', async () => {
    const error = Buffer.concat([uint32(5), uint16(4), Buffer.from('oops')]);
    const client = await connect({
      onRequest: (request) =>
        request.offset === 0n ? chunk(request, 0x8001, error) : data(request, 0, request.length),
    });
    const failed: unknown = await client.read(0, 512).catch((thrown: unknown) => thrown);
    expect(failed).toMatchObject({ code: 'SourceReadFailed' });
    expect(String(failed)).toContain('EIO (oops)');
    expect(await client.read(512, 512)).toHaveLength(512);
    await client.close();
  });

  it.each<[string, (request: NbdRequest) => Buffer, string]>([
    ['of fewer bytes', (request) => data(request, 0, 100), 'bytes of 4096'],
    ['with bytes before the request', (request) => data(request, -1, 100), 'outside'],
    ['with bytes after the request', (request) => data(request, 4000, 100), 'outside'],
    [
      'with the same bytes twice',
      (request) => Buffer.concat([data(request, 0, 2048, false), data(request, 0, 2048)]),
      'twice',
    ],
    [
      'in too many pieces',
      (request) =>
        Buffer.concat(Array.from({ length: 1100 }, (_, index) => data(request, index * 2, 1, false))),
      'twice',
    ],
    ['without data', (request) => chunk(request, 1, uint64(0)), 'without data'],
    ['with a hole of a wrong size', (request) => chunk(request, 2, uint64(0)), 'hole'],
    ['of another request', ({ cookie }) => chunk({ cookie: cookie + 9n }, 0), 'no request'],
    ['without its magic', () => Buffer.alloc(20, 1), 'magic'],
    [
      'with a chunk of 4 GiB',
      (request) => chunk(request, 7, Buffer.alloc(0), { length: 2 ** 32 - 1 }),
      'type 7',
    ],
    [
      'with an error of 4 GiB',
      (request) => chunk(request, 0x8001, Buffer.alloc(0), { length: 2 ** 32 - 1 }),
      'error of',
    ],
    ['with block status', (request) => chunk(request, 5, Buffer.alloc(12)), 'block status'],
  ])('is refused %s', async (_, onRequest, reason) => {
    const client = await connect({ onRequest });
    const error: unknown = await client.read(4096, 4096).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'SourceAnswerInvalid' });
    expect(String(error)).toContain(reason);
    await client.close();
  });

  it('ends when the server stalls, also in the middle of an answer', async () => {
    const stalls = [
      () => undefined,
      (request: NbdRequest) => chunk(request, 1, uint64(0), { length: 4096 + 8 }),
      (request: NbdRequest) => data(request, 0, 512, false),
    ];
    for (const onRequest of stalls) {
      const client = await connect({ onRequest }, { idleTimeoutMs: 100 });
      const reads = Array.from({ length: 40 }, () => client.read(0, 4096));
      for (const result of await Promise.allSettled(reads))
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'SourceUnavailable' } });
      await expect(client.read(0, 1)).rejects.toMatchObject({ code: 'SourceUnavailable' });
      close();
    }
  });

  it('of simple replies, from a server that knows no others', async () => {
    const client = await connect({
      onOption: (option) => (option === 8 ? optionReply(8, 2 ** 31 + 1) : undefined),
      onRequest: ({ offset, length, cookie }) =>
        Buffer.concat([
          uint32(0x67446698),
          uint32(offset === 0n ? 28 : 0),
          uint64(cookie),
          Buffer.alloc(offset === 0n ? 0 : length, 9),
        ]),
    });
    expect((await client.read(4096, 2000)).equals(Buffer.alloc(2000, 9))).toBe(true);
    await expect(client.read(0, 2000)).rejects.toThrow('ENOSPC');
    await client.close();
  });

  it('never outside the export', async () => {
    const client = await connect({});
    await expect(client.read(1024 * 1024 - 1, 2)).rejects.toThrow(RangeError);
    await expect(
      client.forEachStatus('base:allocation', { offsetBytes: 0, lengthBytes: 1 }, () => 1),
    ).rejects.toThrow(RangeError);
    await client.close();
    await expect(client.read(0, 1)).rejects.toMatchObject({ code: 'SourceUnavailable' });
  });
});

describe('block status', () => {
  const contexts = ['base:allocation', 'qemu:dirty-bitmap:b'];
  const status = (request: NbdRequest, id: number, runs: [number, number][], isLast = true): Buffer =>
    chunk(
      request,
      5,
      Buffer.concat([uint32(id), ...runs.flatMap(([length, flags]) => [uint32(length), uint32(flags)])]),
      { isLast },
    );

  it('is asked for until the window is covered, each context for itself', async () => {
    const client = await connect(
      {
        onRequest: (request) =>
          Buffer.concat([
            status(request, 1, [[1000, 3]], false),
            status(request, 2, [
              [300, 1],
              [400, 0],
              [2 ** 31, 1],
            ]),
          ]),
      },
      { contexts },
    );
    const runs: unknown[] = [];
    await client.forEachStatus('base:allocation', { offsetBytes: 500, lengthBytes: 1200 }, (run) =>
      runs.push(run),
    );
    expect(runs).toEqual([
      { offsetBytes: 500, lengthBytes: 1000, flags: 3 },
      { offsetBytes: 1500, lengthBytes: 200, flags: 3 },
    ]);
    const dirty: unknown[] = [];
    await client.forEachStatus('qemu:dirty-bitmap:b', { offsetBytes: 0, lengthBytes: 2048 }, (run) =>
      dirty.push(run),
    );
    expect(dirty).toEqual([
      { offsetBytes: 0, lengthBytes: 300, flags: 1 },
      { offsetBytes: 300, lengthBytes: 400, flags: 0 },
      { offsetBytes: 700, lengthBytes: 1348, flags: 1 },
    ]);
    await client.close();
  });

  it.each<[string, (request: NbdRequest) => Buffer, string]>([
    ['with an empty extent', (request) => status(request, 1, [[0, 0]]), 'empty extent'],
    ['of 4 GiB', (request) => chunk(request, 5, Buffer.alloc(0), { length: 2 ** 32 - 4 }), 'block status of'],
    ['of no extents', (request) => chunk(request, 5, uint32(1)), 'block status of'],
    ['of an unknown context', (request) => status(request, 9, [[512, 0]]), 'not asked for'],
    [
      'twice',
      (request) => Buffer.concat([status(request, 1, [[512, 0]], false), status(request, 1, [[512, 0]])]),
      'twice',
    ],
    ['without the context', (request) => status(request, 2, [[512, 0]]), 'no block status of'],
  ])('is refused %s', async (_, onRequest, reason) => {
    const client = await connect({ onRequest }, { contexts });
    const window = { offsetBytes: 0, lengthBytes: 4096 };
    const error: unknown = await client
      .forEachStatus('base:allocation', window, () => 1)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'SourceAnswerInvalid' });
    expect(String(error)).toContain(reason);
    await client.close();
  });
});

it('bytes that nobody asked for end the connection', async () => {
  const flood = Buffer.concat([
    optionReply(7, 3, Buffer.concat([uint16(0), uint64(4096), uint16(3)])),
    Buffer.alloc(4 * 1024 * 1024),
  ]);
  await expect(connect(only(8, flood))).rejects.toMatchObject({ code: 'SourceAnswerInvalid' });
});

it('filled ranges are those of a plain list of bytes', () => {
  const random = new SeededRandom(20_261_127);
  for (let round = 0; round < 200; round++) {
    const ranges = new FilledRanges();
    const bytes = new Uint8Array(64);
    for (let piece = 0; piece < 30; piece++) {
      const start = random.below(64);
      const end = start + random.below(65 - start);
      const isFree = end > start && bytes.subarray(start, end).every((byte) => byte === 0);
      const wasAdded = ranges.add(start, end);
      expect(wasAdded).toBe(isFree);
      if (isFree) bytes.fill(1, start, end);
      expect(ranges.filledBytes).toBe(bytes.reduce((sum, byte) => sum + byte, 0));
    }
  }
});
