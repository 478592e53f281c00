// Finds the function for a request: templates in ASP.NET's order of precedence (a literal beats a parameter),
// then the method. As in the real host a known path with another method is 404, not 405.
import type { LoadedFunction } from '../worker/types.ts';
import type { Access } from './hostKeys.ts';
import { type RouteTemplate, matchRoute } from './routeTemplate.ts';
import { parseRouteTemplate } from './routeTemplateParser.ts';

export interface HttpRoute {
  loaded: LoadedFunction;
  /** Path template with the prefix, without a leading '/'. */
  path: string;
  /** Upper case. */
  methods: readonly string[];
  access: Access;
}

export interface RouteMatch {
  route: HttpRoute;
  params: Record<string, string>;
}

/** Methods of a function that names none. */
const allMethods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE'];

/** The route of an HTTP function; the route of one that names none is its name. Throws Error for an unknown `authLevel`. */
export function toHttpRoute(loaded: LoadedFunction, routePrefix: string): HttpRoute {
  const { route, methods } = loaded.trigger as { route?: unknown; methods?: unknown };
  const ownPath = typeof route === 'string' ? route : loaded.name;
  const path = [routePrefix, ownPath]
    .map((part) => part.replaceAll(/^\/+|\/+$/g, ''))
    .filter((part) => part !== '');
  const named =
    Array.isArray(methods) && methods.length > 0
      ? methods.map((name) => String(name).toUpperCase())
      : allMethods;
  return { loaded, path: path.join('/'), methods: named, access: toAccess(loaded) };
}

/** As in the real host, a trigger that names no level asks for a key; the v4 library always names one. */
function toAccess({ trigger }: LoadedFunction): Access {
  const { authLevel = 'function' } = trigger;
  const level = String(authLevel).toLowerCase();
  if (level === 'anonymous' || level === 'function' || level === 'admin') return level;
  throw new Error(`the authLevel "${String(authLevel)}" is unknown; use anonymous, function or admin.`);
}

export class RouteTable {
  readonly #entries: { route: HttpRoute; template: RouteTemplate }[] = [];

  /** Adds a route; throws Error when its template is not valid. */
  add(route: HttpRoute): void {
    this.#entries.push({ route, template: parseRouteTemplate(route.path) });
    this.#entries.sort((one, other) => comparePrecedence(one.template.precedence, other.template.precedence));
  }

  get routes(): readonly HttpRoute[] {
    return this.#entries.map(({ route }) => route);
  }

  /** The first route for this method (upper case) and percent-encoded path. */
  find(method: string, path: string): RouteMatch | undefined {
    for (const { route, template } of this.#entries) {
      if (!route.methods.includes(method)) continue;
      const params = matchRoute(template, path);
      if (params !== undefined) return { route, params };
    }
    return undefined;
  }
}

/** Compares digit by digit like the fractions ASP.NET builds of them: a missing digit counts as 0. */
function comparePrecedence(one: readonly number[], other: readonly number[]): number {
  for (let index = 0; index < Math.max(one.length, other.length); index++) {
    const difference = (one[index] ?? 0) - (other[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
