// Tables for people: columns as wide as they need, the last one cut so that a line fits the terminal.

const lineChars = 80;
const gap = '  ';
const leastLastChars = 10;

/** Control characters of names that others chose must not reach a terminal. */
const clean = (text: string): string => text.replaceAll(/\p{Cc}/gu, '?');

/** At most so many characters; what was cut off is shown by an ellipsis. */
export const cut = (text: string, chars: number): string =>
  text.length <= chars ? text : `${text.slice(0, Math.max(0, chars - 1))}…`;

/** Lines with a heading, none longer than 80 characters. When all columns are wide, the widest are cut. */
export function formatTable(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [heading, ...rows.map((row) => row.map(clean))];
  const widths = heading.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const sum = (): number =>
    widths.reduce((total, width) => total + width, 0) + gap.length * (widths.length - 1);
  while (sum() > lineChars) {
    // The last column gives way first, then whichever is widest.
    const last = widths.length - 1;
    const isLastWide = (widths[last] ?? 0) > leastLastChars;
    const widest = isLastWide ? last : widths.indexOf(Math.max(...widths));
    const width = widths[widest] ?? 0;
    widths[widest] = Math.max(leastLastChars, width - (sum() - lineChars));
    if (widths[widest] === width) break;
  }
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cut(cell, widths[column] ?? 0).padEnd(widths[column] ?? 0))
      .join(gap)
      .trimEnd();
  return `${cells.map(line).join('\n')}\n`;
}
