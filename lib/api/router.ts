// One route table for one catch-all function: literals are compared without regard to case (as ARM does), parameters
// are percent-decoded.
import { LifeboatError } from '../errors.ts';
import type { Handler } from './http.ts';

/** Verb → handler for one path pattern such as `/fabrics/{fabric}`. */
export interface Route {
  pattern: string;
  verbs: Partial<Record<'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE', Handler>>;
}

export interface Match {
  route: Route;
  params: Record<string, string>;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    throw new LifeboatError(
      'InvalidRequest',
      `Path segment "${segment.slice(0, 80)}" is not valid percent-encoding.`,
      { cause },
    );
  }
}

const split = (path: string): string[] => path.split('/').filter((segment) => segment !== '');

function matchSegments(
  pattern: readonly string[],
  segments: readonly string[],
): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, expected] of pattern.entries()) {
    const segment = decode(segments[index] ?? '');
    if (expected.startsWith('{')) params[expected.slice(1, -1)] = segment;
    else if (expected.toLowerCase() !== segment.toLowerCase()) return undefined;
  }
  return params;
}

/** The first route whose pattern fits the path, or undefined. */
export function findRoute(routes: readonly Route[], path: string): Match | undefined {
  const segments = split(path);
  for (const route of routes) {
    const params = matchSegments(split(route.pattern), segments);
    if (params) return { route, params };
  }
  return undefined;
}
