// Request bodies: JSON, then a schema; every complaint names the path in the body.
import type * as z from 'zod';
import { LifeboatError } from '../errors.ts';
import type { RoutedRequest } from './http.ts';

/** The body as the schema's type. An empty body is `{}`. Unknown fields are ignored. Throws `InvalidRequest`. */
export async function parseBody<T>(request: RoutedRequest, schema: z.ZodType<T>): Promise<T> {
  const parsed = schema.safeParse((await request.json()) ?? {});
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`);
  const target = parsed.error.issues[0]?.path.join('.') ?? 'body';
  throw new LifeboatError('InvalidRequest', `The request body is not valid. ${problems.join('; ')}`, {
    target,
  });
}
