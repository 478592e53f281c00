// The one error of loading an app: the app is missing, broken, or registers nothing. The message says what to do.

export class AppLoadError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'AppLoadError';
  }
}
