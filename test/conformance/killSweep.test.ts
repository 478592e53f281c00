// kill -9 at random moments under a mixed workload: nothing acknowledged is lost, nothing stays undone. The long version
// of this test is `npm run soak -- host`.
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runHost, temporaryFolder } from '../host/startHost.ts';
import { randomSource } from '../support/protectedVm.ts';
import { ownStorage, stopHost } from './hostProcess.ts';
import { runKillSweep } from './killSweep.ts';
import { conformanceApp } from './target.ts';

const seed = Number(process.env['KILL_SWEEP_SEED'] ?? randomInt(1, 2 ** 31));

it('a host that is killed four times completes all work and processes all blobs', async () => {
  process.stdout.write(`Kill sweep: KILL_SWEEP_SEED=${seed} repeats it.\n`);
  const dataDirectory = join(temporaryFolder(), 'data');
  const lines: string[] = [];
  const { host, violations, instances, blobs } = await runKillSweep({
    spawn: () => runHost({ app: conformanceApp, dataDirectory, args: ['--strict'], env: ownStorage }),
    ...{ runId: 'test', random: randomSource(seed), kills: 4, startKillEvery: 3 },
    report: (line) => lines.push(line),
  });
  expect(violations.join('\n'), lines.join('\n')).toBe('');
  expect(instances).toBeGreaterThanOrEqual(24);
  expect(blobs).toBeGreaterThanOrEqual(8);
  expect(await stopHost(host)).toBe(0);
}, 240_000);
