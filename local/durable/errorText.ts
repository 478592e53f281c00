// One line about any thrown value, for logs and answers. Storage errors come without a message when the service sent no body.

export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.message !== '') return error.message;
  const { statusCode, code } = error as Error & { statusCode?: unknown; code?: unknown };
  return `${error.name}, status ${String(statusCode)}, code ${String(code)}`;
}
