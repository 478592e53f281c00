// Small cycles: how long after the upload of a log its recovery point is there.
import { randomBytes, randomInt } from 'node:crypto';
import type { PlainWrite } from '../../test/support/independentHrl.ts';
import { lifeboatApp, withHost } from '../hostSession.ts';
import { median, type Measurement, quantile } from '../measurements.ts';
import { BenchMachine } from './cycles.ts';

const cycleCount = 30;
const diskBytes = 64 * 2 ** 20;
const writeBytes = 16 * 1024;
const writesOfCycle = 64;

export function benchRecoveryPoint(progress: (line: string) => void): Promise<Measurement[]> {
  return withHost(lifeboatApp, async (session) => {
    const machine = await BenchMachine.protect(session, 'bench-small', diskBytes);
    progress(`${cycleCount} small cycles`);
    // Not measured: the first cycle waits for the end of the job that enables protection.
    await machine.runCycle(randomWrites());
    const timesMs: number[] = [];
    for (let cycle = 0; cycle < cycleCount; cycle++) timesMs.push(await machine.runCycle(randomWrites()));
    const detail = `${cycleCount} cycles of ${writesOfCycle} random writes of 16 KiB`;
    return [
      { what: 'log upload to recovery point (median)', value: median(timesMs), unit: 'ms', detail },
      {
        what: 'log upload to recovery point (95th percentile)',
        value: quantile(timesMs, 0.95),
        unit: 'ms',
        detail,
      },
    ];
  });
}

function randomWrites(): PlainWrite[] {
  return Array.from({ length: writesOfCycle }, () => ({
    offset: randomInt(diskBytes / writeBytes) * writeBytes,
    data: randomBytes(writeBytes),
  }));
}
