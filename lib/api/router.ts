// One route table for one catch-all function: literals are compared without regard to case (as ARM does), parameters
// are percent-decoded.
import { LifeboatError } from '../errors.ts';
import type { Operation, Verb } from './operation.ts';

interface Route {
  segments: readonly string[];
  verbs: Map<Verb, Operation>;
}

/** Routes by their number of segments. */
export type RouteTable = ReadonlyMap<number, readonly Route[]>;

export interface Match {
  verbs: ReadonlyMap<string, Operation>;
  params: Record<string, string>;
}

/** Throws `InvalidRequest` for text that is not valid percent-encoding. */
export function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    const message = `Path segment "${segment.slice(0, 80)}" is not valid percent-encoding.`;
    throw new LifeboatError('InvalidRequest', message, { cause });
  }
}

const split = (path: string): string[] => path.split('/').filter((segment) => segment !== '');

/** Literals before parameters, from the left: the narrower pattern is asked first. */
const rank = ({ segments }: Route): string =>
  segments.map((segment) => (segment.startsWith('{') ? '1' : '0')).join('');

/** Patterns that differ in the names of their parameters only are one route. Throws an Error when two operations collide. */
export function compileRoutes(operations: readonly Operation[]): RouteTable {
  const table = new Map<number, Route[]>();
  const byShape = new Map<string, Route>();
  for (const each of operations) {
    const segments = split(each.path);
    const shape = segments.map((segment) => segment.toLowerCase()).join('/');
    const route = byShape.get(shape) ?? { segments, verbs: new Map<Verb, Operation>() };
    if (!byShape.has(shape)) {
      byShape.set(shape, route);
      table.set(segments.length, [...(table.get(segments.length) ?? []), route]);
    }
    if (route.verbs.has(each.verb)) throw new Error(`${each.verb} ${each.path} is defined twice.`);
    route.verbs.set(each.verb, each);
  }
  for (const routes of table.values()) routes.sort((one, other) => rank(one).localeCompare(rank(other)));
  return table;
}

function matchSegments(
  pattern: readonly string[],
  segments: readonly string[],
): Record<string, string> | undefined {
  const params: Record<string, string> = {};
  for (const [index, expected] of pattern.entries()) {
    const segment = segments[index] ?? '';
    if (expected.startsWith('{')) params[expected.slice(1, -1)] = segment;
    else if (expected.toLowerCase() !== segment.toLowerCase()) return undefined;
  }
  return params;
}

/** The first route whose pattern fits the path, or undefined. */
export function findRoute(table: RouteTable, path: string): Match | undefined {
  const segments = split(path).map(decodeSegment);
  for (const { segments: pattern, verbs } of table.get(segments.length) ?? []) {
    const params = matchSegments(pattern, segments);
    if (params) return { verbs, params };
  }
  return undefined;
}
