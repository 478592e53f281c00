// The regression corpus: frozen logs, each with one thing that readers get wrong, and what must become of it.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { memorySource } from '../../lib/disk/source.ts';
import { HrlError } from '../../lib/hrl/errors.ts';
import expected from '../fixtures/hrl/expected.json' with { type: 'json' };
import { freshDisk, fuzzDiskSizeBytes } from './baseLogs.ts';
import { lifeboat } from './oracle.ts';
import { readPlainly } from './plainReader.ts';

const folder = join(import.meta.dirname, '..', 'fixtures', 'hrl');

/** As `expected.json` has it: where the log is refused, or the disk afterwards. */
async function outcomeOf(log: Buffer): Promise<object> {
  const disk = freshDisk();
  try {
    await lifeboat(memorySource(log), disk);
    return { effectSha256: createHash('sha256').update(disk).digest('hex') };
  } catch (error) {
    if (!(error instanceof HrlError)) throw error;
    const { code, field, offsetBytes } = error;
    return { code, field, offsetBytes };
  }
}

it.each(Object.entries(expected))('%s', async (name, outcome) => {
  const log = readFileSync(join(folder, `${name}.hrl`));
  expect(await outcomeOf(log)).toEqual(outcome);
  expect(typeof readPlainly(log, fuzzDiskSizeBytes) === 'string').toBe('code' in outcome);
});

it('has an expectation and a provenance for every file, and no file less', () => {
  const names = readdirSync(folder).filter((name) => name.endsWith('.hrl'));
  expect(names.map((name) => name.slice(0, -4)).sort()).toEqual(Object.keys(expected).sort());
  const provenance = readFileSync(join(folder, 'PROVENANCE.md'), 'utf8');
  for (const name of Object.keys(expected)) expect(provenance).toContain(`| ${name} `);
});
