// The product in the local host: time from the start of the process to the first request it would serve, and the
// processor time that host and Azurite use when nothing happens (the reconciliation timer goes on).
import { setTimeout as sleep } from 'node:timers/promises';
import { type HostSession, lifeboatApp, withHost } from '../hostSession.ts';
import { median, type Measurement } from '../measurements.ts';
import { findCpuSeconds, listChildren } from '../processStats.ts';

const startCount = 7;
const settleMs = 8000;
const idleSeconds = 30;

export function benchStartAndIdle(progress: (line: string) => void): Promise<Measurement[]> {
  return withHost(lifeboatApp, async (session) => {
    progress('starting');
    // The first start made the data directory and filled the page cache; the others are warm.
    const startsMs: number[] = [];
    for (let count = 0; count < startCount; count++) {
      await session.restart();
      startsMs.push(session.startMs);
    }
    const start: Measurement = {
      ...{ what: 'start to ready, warm (median)', value: median(startsMs), unit: 'ms' },
      detail: `${startCount} starts, ${spread(startsMs)}`,
    };
    return [start, ...(await measureIdle(session, progress))];
  });
}

function spread(values: readonly number[]): string {
  return `${Math.round(Math.min(...values))} to ${Math.round(Math.max(...values))}`;
}

async function measureIdle(session: HostSession, progress: (line: string) => void): Promise<Measurement[]> {
  progress(`idle for ${idleSeconds} s`);
  await sleep(settleMs);
  const pids = [session.pid, ...listChildren(session.pid)];
  const before = pids.map(findCpuSeconds);
  const startedAt = performance.now();
  await sleep(idleSeconds * 1000);
  const elapsedSeconds = (performance.now() - startedAt) / 1000;
  const shares = pids.map((pid, index) => {
    const [first, last] = [before[index], findCpuSeconds(pid)];
    return first === undefined || last === undefined ? undefined : ((last - first) / elapsedSeconds) * 100;
  });
  const known = shares.filter((share) => share !== undefined);
  if (known.length !== pids.length || pids.length !== 2) return [];
  const [host = 0, azurite = 0] = known;
  return [
    {
      ...{ what: 'idle processor time', value: host + azurite, unit: '% of a core' },
      detail: `host ${host.toFixed(2)} %, Azurite ${azurite.toFixed(2)} %, over ${idleSeconds} s`,
    },
  ];
}
