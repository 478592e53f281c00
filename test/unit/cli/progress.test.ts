// What a person sees of a command that works: on a terminal that can be read, by a clock that is turned by hand.
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import type { AgentStatus } from '../../../agent/daemon/statusFile.ts';
import { startLiveAgent } from '../../../cli/agent/liveAgent.ts';
import type { Io } from '../../../cli/io.ts';
import { startJobProgress } from '../../../cli/manage/jobProgress.ts';
import { startProgress } from '../../../cli/progress.ts';
import { FakeTerminal } from '../../support/fakeTerminal.ts';

const mib = 1024 * 1024;

function ioWith<Stream extends PassThrough | FakeTerminal>(stderr: Stream) {
  const clock = { ms: 1_000_000 };
  const io: Io = {
    ...{ stdout: new PassThrough(), stderr, stdin: Readable.from([]), env: {}, cwd: '/' },
    ...{ signal: new AbortController().signal, now: () => clock.ms },
  };
  return { io, clock, stderr };
}
/** Everything that a stream without a terminal was given. */
const readAll = (stream: PassThrough): Promise<string> => text(stream.end());
/** The renderer is loaded while the command works: its picture comes a moment later. */
const drawn = (terminal: FakeTerminal, wanted: string): Promise<void> =>
  expect.poll(() => terminal.lines.join('\n')).toContain(wanted);

describe('a transfer', () => {
  it('shows how much, how fast and how long still, in one line of a terminal', async () => {
    const { io, clock, stderr } = ioWith(new FakeTerminal());
    const progress = startProgress(io, 'downloading', 2048 * mib, false);
    // What was there before an interruption is not this attempt's speed.
    for (let second = 0; second <= 10; second++) {
      progress.report(1024 * mib + second * 64 * mib);
      clock.ms += 1000;
    }
    await drawn(stderr, '❯ downloading: 81 % of 2.0 GiB, 64.0 MiB/s, 6 s left');
    clock.ms += 1000;
    progress.report(2048 * mib);
    await drawn(stderr, '100 % of 2.0 GiB');
    expect(stderr.lines).toHaveLength(1);
    await progress.end();
    expect(stderr.lines).toEqual([]);
    await progress.end();
  });

  it('tells the speed of the last while, and no end when nothing moves', async () => {
    const { io, clock, stderr } = ioWith(new FakeTerminal());
    const progress = startProgress(io, 'uploading', 1000 * mib, false);
    for (let second = 0; second <= 10; second++) {
      progress.report(second * 10 * mib);
      clock.ms += 1000;
    }
    for (let second = 0; second < 30; second++) {
      progress.report(100 * mib);
      clock.ms += 1000;
    }
    await drawn(stderr, '❯ uploading: 10 % of 1000.0 MiB, 0 bytes/s');
    expect(stderr.lines[0]).not.toContain('left');
    await progress.end();
  });

  it('is a plain line every ten seconds elsewhere, and nothing when it is quick or quiet', async () => {
    const slow = ioWith(new PassThrough());
    const progress = startProgress(slow.io, 'copying', 100 * mib, false);
    for (let second = 0; second <= 25; second++) {
      progress.report(second * 4 * mib);
      slow.clock.ms += 1000;
    }
    await progress.end();
    expect(await readAll(slow.stderr)).toBe(
      'copying: 40 % of 100.0 MiB, 4.0 MiB/s, 15 s left\ncopying: 80 % of 100.0 MiB, 4.0 MiB/s, 5 s left\n',
    );
    for (const [isQuiet, seconds] of [
      [true, 100],
      [false, 9],
    ] as const) {
      const { io, clock, stderr } = ioWith(new PassThrough());
      const silent = startProgress(io, 'copying', 100 * mib, isQuiet);
      for (let second = 0; second < seconds; second++) {
        silent.report(second * mib);
        clock.ms += 1000;
      }
      await silent.end();
      expect(await readAll(stderr)).toBe('');
    }
  });
});

describe('a job', () => {
  const job = (states: readonly string[]) => ({
    ...{ id: '/jobs/j1', name: 'j1' },
    properties: {
      ...{ friendlyName: 'Enable replication', targetObjectName: 'web01', state: 'InProgress' },
      tasks: states.map((state, index) => ({ friendlyName: `Step ${index + 1} ${'x'.repeat(80)}`, state })),
    },
  });

  it('shows its steps below how far it is, in 80 columns', async () => {
    const { io, clock, stderr } = ioWith(new FakeTerminal());
    let percent = 0;
    const progress = startJobProgress(io, { percentOf: () => Promise.resolve(percent) }, false);
    await progress.see(job(['InProgress', 'NotStarted']));
    for (percent = 10; percent <= 40; percent += 10) {
      clock.ms += 60_000;
      await progress.see(job(['Succeeded', 'InProgress']));
    }
    await drawn(stderr, '❯ Enable replication of web01: InProgress, 40 %, 10.0 %/min, 6 min left');
    expect(stderr.lines[1]).toMatch(/^ {2}✔ Step 1 x+…$/);
    expect(stderr.lines[2]).toMatch(/^ {2}❯ Step 2 x+…$/);
    expect(stderr.widest).toBeLessThanOrEqual(80);
    await progress.end();
    expect(stderr.lines).toEqual([]);
  });

  it('is a line for each new state or step elsewhere', async () => {
    const { io, clock, stderr } = ioWith(new PassThrough());
    const progress = startJobProgress(io, { percentOf: () => Promise.resolve(50) }, false);
    for (const states of [['InProgress'], ['InProgress'], ['Succeeded']]) {
      await progress.see(job(states));
      clock.ms += 400;
    }
    await progress.end();
    const lines = (await readAll(stderr)).split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/^j1: InProgress, 50 % \(Step 1 x+\)$/);
    expect(lines[1]).toBe('j1: InProgress, 50 %, 0.0 %/min');
  });
});

describe('an agent', () => {
  const status = (doneBytes: number): AgentStatus => ({
    ...{ version: 1, pid: 1, startedAt: '', updatedAt: '', machines: [] },
    service: { url: 'https://lifeboat.example', reachedAt: null, problem: null },
    spool: { usedBytes: 0, quotaBytes: 0, fullAt: null },
    items: [
      {
        ...{ item: 'web01', machine: 'web01', appliedCycle: 0, pendingCycle: null, lastFrozenAt: null },
        activity: { doing: 'copying os', doneBytes, totalBytes: 1024 * mib },
      },
      {
        ...{ item: 'db01', machine: 'db01', appliedCycle: 7, pendingCycle: null, lastFrozenAt: null },
        activity: { doing: 'waiting for the next cycle' },
      },
    ],
  });

  it('shows its items below a log that stays', async () => {
    const { io, clock, stderr } = ioWith(new FakeTerminal());
    const agent = startLiveAgent(io);
    agent.log('before the first picture');
    for (let second = 0; second <= 4; second++) {
      clock.ms += 1000;
      agent.onStatus(status(second * 128 * mib));
      if (second === 0) await drawn(stderr, 'web01');
    }
    agent.log('a line of the log');
    await drawn(stderr, 'web01: copying os: 50 % of 1.0 GiB, 128.0 MiB/s, 4 s left');
    expect(stderr.lines).toEqual([
      'before the first picture',
      'a line of the log',
      '❯ agent: 2 items, https://lifeboat.example',
      expect.stringContaining('web01: copying os: 50 %'),
      expect.stringContaining('db01: waiting for the next cycle'),
    ]);
    await agent.end();
    expect(stderr.lines).toEqual(['before the first picture', 'a line of the log']);
  });

  it('has a line a minute for what is copied elsewhere', async () => {
    const { io, clock, stderr } = ioWith(new PassThrough());
    const agent = startLiveAgent(io);
    for (let second = 0; second <= 60; second++) {
      agent.onStatus(status(second * 8 * mib));
      clock.ms += 1000;
    }
    await agent.end();
    expect(await readAll(stderr)).toBe('web01: copying os: 46 % of 1.0 GiB, 8.0 MiB/s, 68 s left\n');
  });
});
