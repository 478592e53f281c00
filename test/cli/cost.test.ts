import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultPrices } from '../../lib/cost/prices.ts';
import { cliFolder, type CliFolder } from './runCli.ts';

let folder: CliFolder;
beforeEach(async () => {
  folder = await cliFolder();
});
afterEach(() => folder.remove());

interface Document {
  input: Record<string, unknown>;
  lifeboat: { monthly: number; lines: { what: string; quantity: number }[] };
  siteRecovery: { monthly: number };
  prices: Record<string, number>;
  overridden: string[];
}

describe('lifeboat cost', () => {
  it('prints two tables for people, with date and basis of the prices', async () => {
    const { exitCode, stdout, stderr } = await folder.run([
      'cost',
      '--machines',
      '20',
      '--disks',
      '127GiB,500GiB',
    ]);
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^Lifeboat, a month\n/);
    expect(stdout).toMatch(/protected machines +20 machines +500\.00/);
    expect(stdout).toContain('US dollars');
    expect(stdout).toMatch(/noted \d{4}-\d{2}/);
  });

  it('takes sizes with units and other prices', async () => {
    const { json } = await folder.runJson(
      [
        'cost',
        '--churn',
        '512MiB',
        '--disks',
        '64GiB',
        '--used',
        '100',
        '--write-size',
        '1MiB',
        '--private',
      ].concat(['--price', 'pageBlobGiBMonth=1', '--price', 'siteRecoveryInstanceMonth=16']),
    );
    const document = json as unknown as Document;
    expect(document.input).toMatchObject({
      churnGiBPerDay: 0.5,
      diskGiB: [64],
      usedShare: 1,
      writeKiB: 1024,
      isPrivate: true,
    });
    expect(document.overridden).toEqual(['pageBlobGiBMonth', 'siteRecoveryInstanceMonth']);
    expect(document.prices['pageBlobGiBMonth']).toBe(1);
    expect(document.siteRecovery.monthly).toBeCloseTo(16 + 64 * 0.046 + 0.5 * 0.05, 6);
    expect(document.lifeboat.lines[0]).toMatchObject({ what: 'replicas', quantity: 64 });
  });

  it.each([
    [['--price', 'nothing=1'], 'There is no price "nothing"'],
    [['--price', 'logGiB'], 'not negative'],
    [['--churn', 'much'], 'Give bytes'],
    [['--machines', '-1'], 'not negative'],
  ])('refuses %j as wrong usage', async (args, message) => {
    const { exitCode, stderr } = await folder.run(['cost', ...args]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
  });

  it('refuses what no machine can have, and names it', async () => {
    const { exitCode, stderr } = await folder.run(['cost', '--disks', '9TiB']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('disk size in GiB is 9216');
  });

  it('--help and docs/cost.md list every price with its default', async () => {
    const { stdout } = await folder.run(['cost', '--help']);
    const docs = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'cost.md'), 'utf8');
    for (const [name, { value, unit }] of Object.entries(defaultPrices)) {
      expect(stdout).toMatch(new RegExp(`${name} +${value} `));
      expect(docs).toContain(`| \`${name}\` | ${value} | ${unit} |`);
    }
  });
});
