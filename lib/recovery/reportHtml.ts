// The report as one page that stands alone: no script, no outside resource, so that it can be filed as evidence.
import { stepSeconds, type RecoveryReport } from './report.ts';

const escapes: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const escape = (text: string): string => text.replaceAll(/[&<>"']/g, (character) => escapes[character] ?? '');

const style = `body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}
h1{font-size:1.4rem}table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ddd}
td.n{text-align:right;font-variant-numeric:tabular-nums}pre{background:#111;color:#ddd;padding:1rem;overflow:auto;max-height:30rem}
.v{padding:.6rem 1rem;border-radius:.3rem;font-weight:600}.passed{background:#d7f5dd}.failed{background:#fbdcdc}.prepared{background:#fff3cf}
code{font-size:.85em;word-break:break-all}`;

const titles: Record<RecoveryReport['kind'], string> = {
  testFailover: 'Test failover',
  drill: 'Recovery drill',
  plannedFailover: 'Planned failover',
  unplannedFailover: 'Unplanned failover',
};

const seconds = (value: number): string =>
  value < 120 ? `${value.toFixed(1)} s` : `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;

const row = (...cells: readonly string[]): string =>
  `<tr>${cells.map((cell) => `<td>${escape(cell)}</td>`).join('')}</tr>`;

/** The page. Everything that comes from a guest or a user is escaped. */
export function reportHtml(report: RecoveryReport): string {
  const title = `${titles[report.kind]} of ${report.machineName}`;
  const { recoveryPoint: point } = report;
  const facts = [
    row('Verdict', `${report.verdict}: ${report.verdictText}`),
    row(
      'Recovery point',
      `cycle ${point.cycle}, ${point.takenAt}, ${point.consistency} consistent (${point.id})`,
    ),
    row('Requested', report.requestedAt),
    row('Ended', report.endedAt),
    row('RTO', seconds(report.rtoSeconds)),
    ...(report.estimatedRtoSeconds === null
      ? []
      : [row('RTO expected before', seconds(report.estimatedRtoSeconds))]),
    row('RPO', seconds(report.rpoSeconds)),
    row('Provider', report.provider),
    row('Item and job', `${report.item}, ${report.jobId}`),
  ];
  const steps = report.steps.map((step) => row(step.name, step.startedAt, seconds(stepSeconds(step))));
  const disks = report.disks.map(
    ({ disk, sizeBytes, allocatedBytes, digest }) =>
      `<tr><td>${escape(disk)}</td><td class="n">${sizeBytes}</td><td class="n">${allocatedBytes}</td><td><code>${escape(digest)}</code></td></tr>`,
  );
  const errors = report.errors.map(({ code, message }) => row(code, message));
  const table = (head: readonly string[], rows: readonly string[]): string =>
    rows.length === 0
      ? ''
      : `<table><tr>${head.map((cell) => `<th>${cell}</th>`).join('')}</tr>${rows.join('')}</table>`;
  const console_ =
    report.boot === null || report.boot.consoleText === ''
      ? ''
      : `<h2>Serial console</h2><pre>${escape(report.boot.consoleText)}</pre>`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escape(title)}</title><style>${style}</style></head><body>
<h1>${escape(title)}</h1>
<p class="v ${report.verdict}">${escape(report.verdictText)}</p>
${table(['Fact', 'Value'], facts)}
<h2>Steps</h2>${table(['Step', 'Started', 'Took'], steps)}
<h2>Disks</h2>${table(['Disk', 'Bytes', 'Allocated bytes', 'SHA-256 (three levels)'], disks)}
${errors.length === 0 ? '' : `<h2>Errors</h2>${table(['Code', 'Message'], errors)}`}
${console_}
</body></html>
`;
}
