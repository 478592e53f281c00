// The error that ends a start: its message is for the person at the terminal, its exit code for scripts.

/** Exit codes of the program; 0 is a clean stop. */
export const exitCodes = { appFailed: 1, cannotStart: 2 } as const;

export class StartError extends Error {
  readonly exitCode: number;

  constructor(message: string, options: { exitCode?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'StartError';
    this.exitCode = options.exitCode ?? exitCodes.cannotStart;
  }
}

/** What went wrong, in one line. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The errno code (`ENOENT`, `EADDRINUSE`, …) of a system error. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}
