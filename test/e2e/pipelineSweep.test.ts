import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../host/startHost.ts';
import { sweepPipeline } from './pipelineSweep.ts';

it(
  'keeps every recovery point right while the host is killed again and again',
  { timeout: 240_000 },
  async () => {
    const seed = Number(process.env['SWEEP_SEED'] ?? Date.now() % 1_000_000);
    console.log(`SWEEP_SEED=${seed}`);
    const dataDirectory = join(temporaryFolder(), 'data');
    expect(await sweepPipeline({ dataDirectory, kills: 3, cyclesPerKill: 3, seed })).toEqual([]);
  },
);
