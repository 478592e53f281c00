// Progress of long transfers: how much of how much, how fast, and how long it still takes.
import { formatBytes, formatDuration } from './humanText.ts';
import type { Io } from './io.ts';
import { LiveText } from './live/liveText.ts';
import { Meter, type Pace } from './live/meter.ts';

export interface Progress {
  /** Cheap; may be called for every chunk. */
  report: (doneBytes: number) => void;
  /** Removes the line. May be called twice. */
  end: () => Promise<void>;
}

/** `copying: 34 % of 2.0 GiB, 120.3 MiB/s, 12 s left`, with what is known. */
export function progressText(
  what: string,
  { doneBytes, totalBytes }: { doneBytes: number; totalBytes: number },
  { perSecond, remainingSeconds }: Pace,
): string {
  const percent = totalBytes === 0 ? 100 : Math.floor((100 * Math.min(doneBytes, totalBytes)) / totalBytes);
  return [
    `${what}: ${percent} % of ${formatBytes(totalBytes)}`,
    ...(perSecond === undefined ? [] : [`${formatBytes(Math.round(perSecond))}/s`]),
    ...(remainingSeconds === undefined ? [] : [`${formatDuration(remainingSeconds)} left`]),
  ].join(', ');
}

/** A line for `what`; nothing when `isQuiet`. */
export function startProgress(io: Io, what: string, totalBytes: number, isQuiet: boolean): Progress {
  const live = new LiveText(io, { isQuiet });
  const meter = new Meter();
  let measuredMs = -Infinity;
  return {
    report(doneBytes) {
      const nowMs = live.nowMs();
      // Measured from the first report on, whenever it is shown.
      if (!live.isDue && nowMs - measuredMs < 1000) return;
      measuredMs = nowMs;
      const pace = meter.pace(doneBytes, totalBytes, nowMs);
      live.show([progressText(what, { doneBytes, totalBytes }, pace)]);
    },
    end: () => live.end(),
  };
}
