// What the exit codes mean. Scripts rely on them; docs/cli.md has the same table.

export const exitCodes = {
  ok: 0,
  /** The operation failed, or a comparison found a difference. */
  failed: 1,
  /** The command line is wrong; nothing was done. */
  usage: 2,
  /** The log is corrupt or does not fit: applying or uploading it is refused, nothing was changed. */
  logRefused: 3,
  /** The service does not answer, or refuses the key. */
  service: 4,
  /** Ctrl-C, as shells count it. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
