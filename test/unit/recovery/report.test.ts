import { describe, expect, it } from 'vitest';
import { recoveryReport, type ReportFacts } from '../../../lib/recovery/report.ts';
import { reportHtml } from '../../../lib/recovery/reportHtml.ts';

const facts: ReportFacts = {
  ...{
    item: 'vm-1',
    machineName: 'web01',
    jobId: 'job-1',
    kind: 'drill',
    provider: 'qemu' as const,
    estimatedRtoSeconds: 12,
  },
  ...{ requestedAt: '2026-01-01T10:00:30.000Z', endedAt: '2026-01-01T10:02:00.500Z' },
  recoveryPoint: { id: 'p', cycle: 7, takenAt: '2026-01-01T09:59:00.000Z', consistency: 'crash' },
  steps: [{ name: 'Disks', startedAt: '2026-01-01T10:00:31.000Z', endedAt: '2026-01-01T10:00:41.250Z' }],
  disks: [{ disk: 'os', sizeBytes: 100, allocatedBytes: 10, digest: 'ab'.repeat(32) }],
  boot: { verdict: 'booted', evidenceLine: 'OK 7', consoleText: 'boot…\nOK 7' },
  marker: 'OK 7',
  errors: [],
};

describe('a recovery report', () => {
  it('counts RTO from the request to the end, and RPO from the recovery point to the request', () => {
    expect(recoveryReport(facts)).toMatchObject({ rtoSeconds: 90.5, rpoSeconds: 90, verdict: 'passed' });
  });

  it.each<[string, Partial<ReportFacts>, string, RegExp]>([
    [
      'a boot without the marker',
      { boot: { verdict: 'ended', evidenceLine: null, consoleText: '' } },
      'failed',
      /stopped without showing the marker "OK 7"/,
    ],
    [
      'a boot that takes too long',
      { marker: null, boot: { verdict: 'pending', evidenceLine: null, consoleText: '' } },
      'failed',
      /still booting.*a login prompt/,
    ],
    [
      'no console',
      { boot: { verdict: 'unavailable', evidenceLine: null, consoleText: '' } },
      'prepared',
      /a boot was not tried/,
    ],
    ['no look', { boot: null }, 'prepared', /1 disks equal/],
    [
      'an error, whatever the console says',
      { errors: [{ code: 'ComputeFailed', message: 'quota' }] },
      'failed',
      /ComputeFailed: quota/,
    ],
    ['a login prompt', { marker: null }, 'passed', /showed a login prompt/],
  ])('judges %s', (_what, change, verdict, text) => {
    const report = recoveryReport({ ...facts, ...change });
    expect(report.verdict).toBe(verdict);
    expect(report.verdictText).toMatch(text);
  });

  it('is a page that nothing of a guest can break out of', () => {
    const hostile = '</pre><script>alert("1")</script>&';
    const report = recoveryReport({
      ...facts,
      machineName: hostile,
      marker: hostile,
      boot: { verdict: 'booted', evidenceLine: hostile, consoleText: hostile },
    });
    const page = reportHtml(report);
    expect(page).not.toContain('<script');
    expect(page.match(/<\/pre>/g)).toHaveLength(1);
    expect(page).toContain('&lt;script&gt;');
    expect(page).toContain('ab'.repeat(32));
    expect(page).toContain('90.5 s');
    expect(page).not.toMatch(/https?:\/\//);
  });
});
