// Throughput of the Durable host: many short orchestrations, each of five activities one after the other, started by a
// client through the management API, until the last one has ended.
import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import { conformanceApp, withHost } from '../hostSession.ts';
import type { Measurement } from '../measurements.ts';
import { findPeakMemoryMiB } from '../processStats.ts';

const orchestrationCount = 1000;
const activityCount = 5;
const clients = 16;
const pollMs = 250;

export function benchOrchestrations(progress: (line: string) => void): Promise<Measurement[]> {
  return withHost(conformanceApp, async ({ address, pid }) => {
    const api = `${address.url}/runtime/webhooks/durabletask`;
    progress(`${orchestrationCount} orchestrations`);
    const startedAt = performance.now();
    const indexes = Array.from({ length: orchestrationCount }, (_, index) => index);
    await pMap(indexes, (index) => startOne(`${api}/orchestrators/echoes/bench-${index}`), {
      concurrency: clients,
    });
    const startSeconds = (performance.now() - startedAt) / 1000;
    await pMap(indexes, (index) => awaitEnd(`${api}/instances/bench-${index}`), { concurrency: clients });
    const seconds = (performance.now() - startedAt) / 1000;
    const peakMiB = findPeakMemoryMiB(pid);
    const memory = { what: 'peak memory of the host during that', value: peakMiB ?? 0, unit: 'MiB' };
    return [
      {
        what: `${orchestrationCount} orchestrations of ${activityCount} activities`,
        value: (orchestrationCount * activityCount) / seconds,
        unit: 'activities/s',
        detail: `${seconds.toFixed(1)} s, all started after ${startSeconds.toFixed(1)} s`,
      },
      ...(peakMiB === undefined ? [] : [memory]),
    ];
  });
}

async function startOne(url: string): Promise<void> {
  const body = JSON.stringify({ count: activityCount });
  const response = await fetch(url, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  });
  const text = await response.text();
  if (response.status !== 202) throw new Error(`A start was answered with ${response.status}: ${text}`);
}

async function awaitEnd(url: string): Promise<void> {
  const expected = (activityCount * (activityCount + 1)) / 2;
  for (;;) {
    const response = await fetch(url);
    const status = (await response.json()) as { runtimeStatus: string; output: unknown };
    if (response.status === 200) {
      if (status.runtimeStatus === 'Completed' && status.output === expected) return;
      throw new Error(`An orchestration ended as ${JSON.stringify(status)}.`);
    }
    if (response.status !== 202) throw new Error(`A status was answered with ${response.status}.`);
    await sleep(pollMs);
  }
}
