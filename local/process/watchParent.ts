// Notices that npm, which runs this program through a shell, was ended without the signal reaching this process:
// the shell dies and does not pass it on. A host left behind would hold its port and its data directory.

const checkEveryMs = 500;

/** Calls `onEnd` once when the parent goes away; does nothing unless npm started this program. */
export function watchParent(onEnd: () => void): void {
  const parent = process.ppid;
  if (process.env['npm_lifecycle_event'] === undefined || parent <= 1) return;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onEnd();
  }, checkEveryMs);
  timer.unref();
}
