// Ctrl-C and SIGTERM: the first one asks for an orderly end, a second one ends the process at once (exit code 130).

/** npm passes a Ctrl-C on although the terminal has sent it already; a person needs longer for a second one. */
const secondSignalAfterMs = 700;

/** `onFirst` is called once. Call once per process. */
export function listenForSignals(onFirst: (signal: string) => void, onSecond?: () => void): void {
  let firstAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (firstAt === undefined) {
      firstAt = performance.now();
      onFirst(signal);
    } else if (performance.now() - firstAt > secondSignalAfterMs) {
      onSecond?.();
      process.exit(130);
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
}
