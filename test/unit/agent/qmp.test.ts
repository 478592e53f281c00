// The monitor's client against a scripted monitor: order, events, errors, silence.
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { QmpClient, QmpError } from '../../../agent/qmp/client.ts';
import { ExtentCollector } from '../../../agent/track/extentCollector.ts';
import { SeededRandom } from '../../fuzz/random.ts';

interface Command {
  execute: string;
  id: number;
}
type Answer = (command: Command, say: (message: unknown) => void) => void;

const greeting = {
  QMP: { version: { qemu: { major: 8, minor: 2, micro: 0 }, package: '' }, capabilities: [] },
};
let folder = '';
let server: net.Server | undefined;
const sockets = new Set<net.Socket>();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lb-'));
});
afterEach(async () => {
  server?.close();
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await rm(folder, { recursive: true, force: true });
});

/** A monitor; bytes go out in small pieces, so that no message comes in one. */
async function monitor(answer: Answer, first: unknown = greeting): Promise<string> {
  server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    const say = (message: unknown): void => {
      const text = Buffer.from(typeof message === 'string' ? message : `${JSON.stringify(message)}\r\n`);
      for (let at = 0; at < text.length; at += 7) socket.write(text.subarray(at, at + 7));
    };
    let rest = '';
    socket.on('data', (bytes) => {
      const lines = (rest + bytes.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const command = JSON.parse(line) as Command;
        if (command.execute === 'qmp_capabilities') say({ return: {}, id: command.id });
        else answer(command, say);
      }
    });
    if (first !== undefined) say(first);
  });
  const path = join(folder, 'qmp');
  await new Promise<void>((resolve) => server?.listen(path, resolve));
  return path;
}

const echo: Answer = ({ execute, id }, say) => say({ return: { für: execute }, id });

describe('a monitor', () => {
  it('says its version, and answers in any order', async () => {
    const held: (() => void)[] = [];
    const socketPath = await monitor((command, say) => {
      held.unshift(() => echo(command, say));
      if (held.length === 3) for (const go of held) go();
    });
    await using qmp = await QmpClient.connect({ socketPath });
    expect(qmp.version).toEqual({ major: 8, minor: 2 });
    const answers = await Promise.all(['a', 'b', 'c'].map((command) => qmp.execute(command)));
    expect(answers).toEqual([{ für: 'a' }, { für: 'b' }, { für: 'c' }]);
  });

  it('reports events before and after one waits for them', async () => {
    const socketPath = await monitor(({ id }, say) => {
      say({ event: 'GONE', data: { id: 'x' }, timestamp: {} });
      say({ return: {}, id });
      say({ event: 'GONE', data: { id: 'y' }, timestamp: {} });
    });
    await using qmp = await QmpClient.connect({ socketPath });
    await qmp.execute('delete');
    const isGone = (id: string) => (event: { event: string; data: Readonly<Record<string, unknown>> }) =>
      event.event === 'GONE' && event.data['id'] === id;
    expect(await qmp.waitForEvent(isGone('y'))).toMatchObject({ data: { id: 'y' } });
    expect(await qmp.waitForEvent(isGone('x'))).toMatchObject({ data: { id: 'x' } });
  });

  it('that refuses a command goes on', async () => {
    const socketPath = await monitor((command, say) => {
      if (command.execute === 'bad')
        say({ error: { class: 'DeviceNotFound', desc: 'no such device' }, id: command.id });
      else echo(command, say);
    });
    await using qmp = await QmpClient.connect({ socketPath });
    const error: unknown = await qmp.execute('bad').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(QmpError);
    expect(error).toMatchObject({
      code: 'SourceAnswerInvalid',
      command: 'bad',
      errorClass: 'DeviceNotFound',
      description: 'no such device',
    });
    expect(await qmp.execute('good')).toEqual({ für: 'good' });
  });

  it('that is silent, or serves another client, is given up', async () => {
    const busy = await monitor(echo, '');
    await expect(QmpClient.connect({ socketPath: busy, timeoutMs: 50 })).rejects.toMatchObject({
      code: 'SourceUnavailable',
    });
    server?.close();
    const socketPath = await monitor(() => undefined);
    // Enough for the greeting on a busy machine.
    await using qmp = await QmpClient.connect({ socketPath, timeoutMs: 1000 });
    const results = await Promise.allSettled([qmp.execute('a'), qmp.waitForEvent(() => true)]);
    for (const result of results)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'SourceUnavailable' } });
    await expect(qmp.execute('b')).rejects.toMatchObject({ code: 'SourceUnavailable' });
  });

  it('that dies fails whatever waits', async () => {
    const socketPath = await monitor(() => {
      for (const socket of sockets) socket.destroy();
    });
    await using qmp = await QmpClient.connect({ socketPath });
    await expect(qmp.execute('quit')).rejects.toMatchObject({ code: 'SourceUnavailable' });
    expect(qmp.failure).toMatchObject({ code: 'SourceUnavailable' });
  });

  it.each([
    ['that is none', '220 mail.example ESMTP\r\n', 'no JSON object'],
    ['without a version', '{"QMP": {}}\r\n', 'version'],
  ])('%s is refused', async (_, first, reason) => {
    const socketPath = await monitor(echo, first);
    const error: unknown = await QmpClient.connect({ socketPath }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'SourceAnswerInvalid' });
    expect(String(error)).toContain(reason);
  });

  it('with a line that does not end is refused', async () => {
    const socketPath = await monitor(echo, '');
    server?.on('connection', (socket) => void socket.write('x'.repeat(20 * 1024 * 1024)));
    await expect(QmpClient.connect({ socketPath })).rejects.toThrow('does not end');
  });
});

it('too many extents are joined over the smallest gaps that do, and none is lost', () => {
  const random = new SeededRandom(20_261_129);
  for (const maxExtents of [1, 7, 100]) {
    const collector = new ExtentCollector(maxExtents);
    const ranges: { offsetBytes: number; lengthBytes: number }[] = [];
    for (let offset = 0, count = 0; count < 500; count++) {
      const range = { offsetBytes: offset, lengthBytes: 512 * (1 + random.below(8)) };
      ranges.push(range);
      collector.add(range);
      offset += range.lengthBytes + 512 * random.below(random.once(5) ? 4000 : 9);
    }
    const extents = collector.take();
    expect(extents.length).toBeLessThanOrEqual(maxExtents);
    for (const { offsetBytes, lengthBytes } of ranges)
      expect(
        extents.some(
          (extent) =>
            extent.offsetBytes <= offsetBytes &&
            extent.offsetBytes + extent.lengthBytes >= offsetBytes + lengthBytes,
        ),
      ).toBe(true);
    extents.slice(1).forEach((extent, index) => {
      const before = extents[index]!;
      expect(extent.offsetBytes).toBeGreaterThan(before.offsetBytes + before.lengthBytes);
    });
  }
});
