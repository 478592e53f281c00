// ASP.NET route templates, the language of `route`, and how a path matches one: literals ignore case; values are
// percent-decoded except %2F, as in the real host.
import type { RouteConstraint } from './routeConstraints.ts';

export interface RouteParameter {
  name: string;
  constraints: readonly RouteConstraint[];
  isOptional: boolean;
  /** Takes the rest of the path, slashes included. */
  isCatchAll: boolean;
  defaultValue?: string;
}

export type RoutePart = { literal: string } | { parameter: RouteParameter };

/** One path segment; `pattern` captures the parameters of `parts` in order. */
export interface RouteSegment {
  parts: readonly RoutePart[];
  pattern: RegExp;
}

export interface RouteTemplate {
  text: string;
  segments: readonly RouteSegment[];
  /** ASP.NET's inbound precedence, a digit per segment; the smaller one is tried first. */
  precedence: readonly number[];
}

/** The parameter of a segment that consists of it alone. */
export function onlyParameter({ parts }: RouteSegment): RouteParameter | undefined {
  const part = parts[0];
  return parts.length === 1 && part !== undefined && 'parameter' in part ? part.parameter : undefined;
}

/** Parameters of a path that matches (percent-encoded, with or without slashes at its ends), else undefined. */
export function matchRoute(template: RouteTemplate, path: string): Record<string, string> | undefined {
  const pieces = path.replace(/^\//, '').replace(/\/$/, '').split('/');
  if (pieces.length === 1 && pieces[0] === '') pieces.pop();
  const values: Record<string, string> = {};
  for (const [index, segment] of template.segments.entries()) {
    const only = onlyParameter(segment);
    if (only?.isCatchAll === true) return takeRest(only, pieces.slice(index), values);
    const piece = pieces[index];
    if (piece === undefined) {
      if (!takeAbsent(only, values)) return undefined;
    } else if (!takePiece(segment, piece, values)) {
      return undefined;
    }
  }
  return pieces.length <= template.segments.length ? values : undefined;
}

function takeRest(
  parameter: RouteParameter,
  rest: string[],
  values: Record<string, string>,
): Record<string, string> | undefined {
  const value = decode(rest.join('/'));
  if (value === '') {
    if (parameter.defaultValue !== undefined) values[parameter.name] = parameter.defaultValue;
    return values;
  }
  if (!parameter.constraints.every((constraint) => constraint(value))) return undefined;
  values[parameter.name] = value;
  return values;
}

function takeAbsent(parameter: RouteParameter | undefined, values: Record<string, string>): boolean {
  if (parameter?.defaultValue !== undefined) values[parameter.name] = parameter.defaultValue;
  return parameter !== undefined && (parameter.isOptional || parameter.defaultValue !== undefined);
}

function takePiece({ parts, pattern }: RouteSegment, piece: string, values: Record<string, string>): boolean {
  const match = pattern.exec(decode(piece));
  if (match === null) return false;
  const parameters = parts.flatMap((part) => ('parameter' in part ? [part.parameter] : []));
  for (const [index, { name, constraints }] of parameters.entries()) {
    const value = match[index + 1];
    if (value === undefined) continue;
    if (!constraints.every((constraint) => constraint(value))) return false;
    values[name] = value;
  }
  return true;
}

function decode(piece: string): string {
  const keepSlashes = piece.replaceAll(/%2f/gi, '%252F');
  try {
    return decodeURIComponent(keepSlashes);
  } catch {
    return piece;
  }
}
