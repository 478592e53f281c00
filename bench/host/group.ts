// The local host: how soon it is there, what it costs when idle, how fast triggers and orchestrations are.
import type { BenchGroup } from '../measurements.ts';
import { benchBlobTrigger } from './blobTrigger.ts';
import { benchOrchestrations } from './orchestrations.ts';
import { benchStartAndIdle } from './startAndIdle.ts';

export const hostBench: BenchGroup = {
  what: 'the local host: start, idle, blob trigger, orchestrations',
  async run(progress) {
    return [
      ...(await benchStartAndIdle(progress)),
      ...(await benchBlobTrigger(progress)),
      ...(await benchOrchestrations(progress)),
    ];
  },
};
