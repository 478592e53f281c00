// Progress of long transfers: one line on stderr that rewrites itself, on a terminal only.
import { formatBytes } from './humanText.ts';
import type { Io } from './io.ts';

const updateMs = 200;

export interface Progress {
  /** Cheap; may be called for every chunk. */
  report: (doneBytes: number) => void;
  /** Removes the line. May be called twice. */
  end: () => void;
}

/** A progress line for `what`, silent when stderr is no terminal or `isQuiet`. */
export function startProgress(io: Io, what: string, totalBytes: number, isQuiet: boolean): Progress {
  if (isQuiet || io.stderr.isTTY !== true) return { report: () => undefined, end: () => undefined };
  const startedMs = Date.now();
  let shownMs = 0;
  return {
    report(doneBytes) {
      const now = Date.now();
      if (now - shownMs < updateMs) return;
      shownMs = now;
      const percent = totalBytes === 0 ? 100 : Math.floor((100 * doneBytes) / totalBytes);
      const rate = formatBytes(Math.round((doneBytes * 1000) / Math.max(1, now - startedMs)));
      io.stderr.write(`\r${what}: ${percent} % of ${formatBytes(totalBytes)}, ${rate}/s \u001b[K`);
    },
    end() {
      if (shownMs > 0) io.stderr.write('\r\u001b[K');
      shownMs = 0;
    },
  };
}
