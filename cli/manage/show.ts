// How resources are printed: one JSON document, or text that fits a terminal; once, or again and again.
import { setTimeout as sleep } from 'node:timers/promises';
import { isUnread, print, type Io } from '../io.ts';
import { formatDuration, formatFacts } from '../humanText.ts';
import { formatTable } from '../table.ts';
import { startJobProgress } from './jobProgress.ts';
import type { Management } from './management.ts';
import type { ServiceOptions } from './login.ts';

export interface ShowOptions extends ServiceOptions {
  watch?: true;
}

const watchEveryMs = 2000;

/** Prints what `load` gives. With --watch again every two seconds, until it is interrupted or `isOver` says so. */
export async function show<T>(
  io: Io,
  options: ShowOptions,
  parts: { load: () => Promise<T>; text: (value: T) => string; isOver?: (value: T) => boolean },
): Promise<T> {
  for (;;) {
    const value = await parts.load();
    const isTerminal = options.watch === true && io.stdout.isTTY === true;
    // On a terminal the picture stays in place; elsewhere the pictures follow each other.
    const clear = isTerminal && options.json !== true ? '\u001b[2J\u001b[H' : '';
    await print(io, options.json === true ? `${JSON.stringify(value)}\n` : clear + parts.text(value));
    if (options.watch !== true || parts.isOver?.(value) === true || isUnread(io)) return value;
    await sleep(watchEveryMs, undefined, { signal: io.signal });
  }
}

/** A cell: text of whatever the service said; `-` for nothing. */
export function cell(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-';
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : JSON.stringify(value);
}

/** A moment to the second, in UTC. */
export function moment(value: unknown): string {
  if (typeof value !== 'string' || value.startsWith('0001-')) return '-';
  const at = new Date(value);
  return Number.isNaN(at.getTime()) ? value : `${at.toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

/** `1 h 5 min`, of seconds. */
export function duration(seconds: unknown): string {
  return typeof seconds === 'number' ? formatDuration(seconds) : '-';
}

export function tableOr(
  nothing: string,
  heading: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  return rows.length === 0 ? `${nothing}\n` : formatTable(heading, rows);
}

const lineChars = 80;

/** The value in lines of at most so many characters, cut at spaces where there are any. */
function wrap(text: string, chars: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > chars) {
    const space = rest.lastIndexOf(' ', chars);
    const end = space > chars / 2 ? space : chars;
    lines.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  return [...lines, rest];
}

/** A sentence in lines that fit the terminal. */
export const paragraph = (text: string): string =>
  `${wrap(text.replaceAll(/\p{Cc}/gu, '?'), lineChars).join('\n')}\n`;

/** Objects as `name.field`, one level deep: what is nested deeper is JSON. */
const flat = (entries: readonly (readonly [string, unknown])[]): (readonly [string, string])[] =>
  entries.flatMap(([name, value]) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return [[name, cell(value)] as const];
    return Object.entries(value).map(([field, inner]) => [`${name}.${field}`, cell(inner)] as const);
  });

/** Aligned `name  value` lines that fit the terminal. */
export function facts(entries: readonly (readonly [string, unknown])[]): string {
  const known = flat(entries);
  const width = Math.max(...known.map(([name]) => name.length));
  const lines = known.flatMap(([name, value]) =>
    wrap(value.replaceAll(/\p{Cc}/gu, '?'), lineChars - width - 2).map(
      (line, index) => [index === 0 ? name : '', line] as const,
    ),
  );
  return formatFacts(lines);
}

export interface JobOptions extends ServiceOptions {
  wait?: boolean;
}

/** Says which job was begun, and waits for its end when it is asked to. */
export async function finishJob(
  io: Io,
  options: JobOptions,
  management: Management,
  { jobId, body }: { jobId: string | undefined; body: unknown },
): Promise<void> {
  if (jobId === undefined) {
    await print(io, options.json === true ? `${JSON.stringify(body ?? {})}\n` : 'Done.\n');
    return;
  }
  if (options.wait !== true) {
    const text = `Job ${jobId} has begun. Follow it with: lifeboat job watch ${jobId}\n`;
    await print(io, options.json === true ? `${JSON.stringify({ jobId })}\n` : text);
    return;
  }
  const progress = startJobProgress(io, management, options.json === true);
  const job = await management.waitForJob(jobId, progress.see).finally(progress.end);
  await print(
    io,
    options.json === true
      ? `${JSON.stringify(job)}\n`
      : `Job ${jobId} has ended: ${cell(job.properties['state'])}.\n`,
  );
}
