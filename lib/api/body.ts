// Request bodies: JSON, then a schema; every complaint names the path in the body.
import type * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import type { RoutedRequest } from './http.ts';

/** The value as the schema's type. Unknown fields are ignored. Throws `InvalidRequest` that names every wrong path. */
export function checkBody<T>(value: unknown, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  const problems = parsed.error.issues
    .slice(0, 20)
    .map(({ path, message }) => `${path.join('.').slice(0, 200) || 'body'}: ${message.slice(0, 300)}`);
  const target = first?.path.join('.').slice(0, 200) ?? '';
  throw new LifeboatError('InvalidRequest', `The request body is not valid. ${problems.join('; ')}`, {
    target: target === '' ? 'body' : target,
  });
}

/** The body as the schema's type. An empty body is `{}`. */
export async function parseBody<T>(request: RoutedRequest, schema: z.ZodType<T>): Promise<T> {
  return checkBody(await request.json(), schema);
}
