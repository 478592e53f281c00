// Parses ASP.NET route templates: literals, {parameters}, {optional?}, {x=default}, {*catchAll}, constraints, and
// several of them within one segment.
import { parseConstraint } from './routeConstraints.ts';
import {
  type RouteParameter,
  type RoutePart,
  type RouteSegment,
  type RouteTemplate,
  onlyParameter,
} from './routeTemplate.ts';

/** Parses a template without a leading '/'. Throws Error that names the template and the mistake. */
export function parseRouteTemplate(text: string): RouteTemplate {
  const trimmed = text.replace(/^\/|\/$/g, '');
  try {
    const segments = trimmed === '' ? [] : splitSegments(trimmed).map(parseSegment);
    assertOrder(segments);
    return { text, segments, precedence: segments.map(precedenceOf) };
  } catch (error) {
    throw new Error(
      `The route "${text}" is not valid: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
}

/** Splits at '/', but not inside braces: a regex constraint may hold slashes. */
function splitSegments(text: string): string[] {
  const segments: string[] = [];
  let depth = 0;
  let start = 0;
  for (let index = 0; index <= text.length; index++) {
    const character = text[index];
    if (character === '{') depth++;
    if (character === '}') depth--;
    if (index < text.length && (character !== '/' || depth > 0)) continue;
    segments.push(text.slice(start, index));
    start = index + 1;
  }
  if (segments.includes('')) throw new Error('it has an empty segment ("//").');
  return segments;
}

function parseSegment(text: string): RouteSegment {
  const parts: RoutePart[] = [];
  let position = 0;
  while (position < text.length) {
    const start = text.indexOf('{', position);
    if (start !== position) {
      const literal = text.slice(position, start < 0 ? undefined : start);
      if (literal.includes('}')) throw new Error('it has a "}" without "{".');
      parts.push({ literal });
      position += literal.length;
    } else {
      const end = endOfParameter(text, start);
      parts.push({ parameter: parseParameter(text.slice(start + 1, end)) });
      position = end + 1;
    }
  }
  return { parts, pattern: toPattern(parts) };
}

/** Index of the '}' that closes the parameter; doubled braces inside a regex constraint do not close it. */
function endOfParameter(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    const doubled = text[index] === text[index + 1];
    if (text[index] === '{' && doubled) index++;
    else if (
      text[index] === '}' &&
      doubled &&
      text.indexOf('{{', start) >= 0 &&
      text.indexOf('{{', start) < index
    )
      index++;
    else if (text[index] === '}') return index;
  }
  throw new Error('it has a "{" that is not closed.');
}

function parseParameter(text: string): RouteParameter {
  const stars = /^\*{0,2}/.exec(text)?.[0] ?? '';
  const match = /^([^:=?*{}]+)(.*)$/s.exec(text.slice(stars.length));
  if (match === null) throw new Error(`"{${text}}" has no parameter name.`);
  const [, name = '', rest = ''] = match;
  const { constraintText, suffix } = splitConstraints(rest);
  const constraints = constraintText.map(parseConstraint);
  const base = { name, constraints, isCatchAll: stars !== '', isOptional: suffix === '?' };
  return suffix.startsWith('=') ? { ...base, defaultValue: suffix.slice(1) } : base;
}

/** `:int:min(3)?` → the constraint texts and what follows them (`?`, `=value` or nothing). */
function splitConstraints(text: string): { constraintText: string[]; suffix: string } {
  const constraintText: string[] = [];
  let rest = text;
  while (rest.startsWith(':')) {
    let depth = 0;
    let end = 1;
    for (; end < rest.length; end++) {
      const character = rest[end];
      if (character === '(') depth++;
      if (character === ')') depth--;
      if (depth === 0 && (character === ':' || character === '?' || character === '=')) break;
    }
    constraintText.push(rest.slice(1, end).replaceAll('{{', '{').replaceAll('}}', '}'));
    rest = rest.slice(end);
  }
  if (rest !== '' && rest !== '?' && !rest.startsWith('='))
    throw new Error(`"${rest}" is not expected after a parameter.`);
  return { constraintText, suffix: rest };
}

function toPattern(parts: readonly RoutePart[]): RegExp {
  const source = parts.map((part, index) => {
    if ('literal' in part) {
      // In `name.{ext?}` the separator goes with the optional value.
      const next = parts[index + 1];
      const escaped = part.literal.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
      const goesWithNext =
        part.literal === '.' && next !== undefined && 'parameter' in next && next.parameter.isOptional;
      return goesWithNext ? '' : escaped;
    }
    const previous = parts[index - 1];
    const isLead = previous !== undefined && 'literal' in previous && previous.literal === '.';
    if (part.parameter.isOptional && isLead) return '(?:\\.(.+))?';
    return index === parts.length - 1 ? '(.+)' : '(.+?)';
  });
  return new RegExp(`^${source.join('')}$`, 'is');
}

function precedenceOf(segment: RouteSegment): number {
  const parameter = onlyParameter(segment);
  if (parameter === undefined) return segment.parts.length === 1 ? 1 : 2;
  const isConstrained = parameter.constraints.length > 0;
  if (parameter.isCatchAll) return isConstrained ? 4 : 5;
  return isConstrained ? 2 : 3;
}

function assertOrder(segments: readonly RouteSegment[]): void {
  const names = new Set<string>();
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    if (onlyParameter(segment)?.isCatchAll === true && !isLast)
      throw new Error('a catch-all parameter must come last.');
    for (const part of segment.parts) {
      if (!('parameter' in part)) continue;
      const name = part.parameter.name.toLowerCase();
      if (names.has(name)) throw new Error(`the parameter "${part.parameter.name}" appears twice.`);
      names.add(name);
    }
  }
}
