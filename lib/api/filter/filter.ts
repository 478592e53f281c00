// A parsed $filter against the fields that one collection has: checked once, then asked of every record.
import { filterError } from './lexer.ts';
import { parseFilter } from './parser.ts';
import type { Comparison, Expression, Literal } from './parser.ts';

export type FieldValue = string | number | boolean | null | undefined;

/** What a collection can be filtered by. Field names as documented; compared without regard to case. */
export type Fields<T> = Readonly<
  Record<
    string,
    | { kind: 'text'; of: (record: T) => FieldValue | readonly string[] }
    /** An ISO time. `bound` says that `eq` means "from" or "until", as Site Recovery's StartTime and EndTime do. */
    | { kind: 'time'; of: (record: T) => string | null | undefined; bound?: 'from' | 'until' }
  >
>;

export interface TimeRange {
  from?: Date;
  until?: Date;
}

export interface Filter<T> {
  matches: (record: T) => boolean;
  /** Bounds that the value of this time field has in every record that matches; used to read less. */
  timeRange: (field: string) => TimeRange;
}

type Field<T> = Fields<T>[string];

function order(one: string | number, other: string | number, comparison: Comparison): boolean {
  if (comparison === 'eq') return one === other;
  if (comparison === 'ne') return one !== other;
  if (comparison === 'gt') return one > other;
  if (comparison === 'ge') return one >= other;
  if (comparison === 'lt') return one < other;
  return one <= other;
}

function compareText(value: FieldValue, comparison: Comparison, literal: Literal): boolean {
  if (value === null || value === undefined || literal === null) {
    const isEqual = (value ?? null) === literal;
    return comparison === 'eq' ? isEqual : comparison === 'ne' && !isEqual;
  }
  if (typeof value === 'number' && typeof literal === 'number') return order(value, literal, comparison);
  const one = String(value).toLowerCase();
  const other = String(literal).toLowerCase();
  if (comparison === 'contains') return one.includes(other);
  if (comparison === 'startswith') return one.startsWith(other);
  if (comparison === 'endswith') return one.endsWith(other);
  return order(one, other, comparison);
}

function timeOf(literal: Literal, at: number): number {
  const time = typeof literal === 'string' ? Date.parse(literal) : Number.NaN;
  if (Number.isNaN(time))
    throw filterError(`"${String(literal)}" is no time such as 2026-01-31T18:00:00Z`, at);
  return time;
}

/** What a comparison of a time means, with `eq` of a bound as the range that it stands for. */
function timeComparison(bound: 'from' | 'until' | undefined, comparison: Comparison): Comparison {
  if (comparison !== 'eq' || bound === undefined) return comparison;
  return bound === 'from' ? 'ge' : 'le';
}

function compile<T>(
  expression: Expression,
  fieldOf: (name: string, at: number) => Field<T>,
): (record: T) => boolean {
  if (expression.kind === 'not') {
    const of = compile(expression.of, fieldOf);
    return (record) => !of(record);
  }
  if (expression.kind !== 'compare') {
    const left = compile(expression.left, fieldOf);
    const right = compile(expression.right, fieldOf);
    return expression.kind === 'and'
      ? (record) => left(record) && right(record)
      : (record) => left(record) || right(record);
  }
  const { comparison, literal, at } = expression;
  const field = fieldOf(expression.field, at);
  if (field.kind === 'text') {
    return (record) => {
      const value = field.of(record);
      return Array.isArray(value)
        ? value.some((each: string) => compareText(each, comparison, literal))
        : compareText(value as FieldValue, comparison, literal);
    };
  }
  if (['contains', 'startswith', 'endswith'].includes(comparison))
    throw filterError(`${comparison} is for text, and ${expression.field} is a time`, at);
  const limit = timeOf(literal, at);
  const meant = timeComparison(field.bound, comparison);
  return (record) => {
    const value = field.of(record);
    return typeof value === 'string' && order(Date.parse(value), limit, meant);
  };
}

/** Bounds that hold for the whole expression: those joined by `and` at the top. */
function* conjuncts(expression: Expression): Generator<Expression> {
  if (expression.kind === 'and') {
    yield* conjuncts(expression.left);
    yield* conjuncts(expression.right);
  } else yield expression;
}

/** The filter that a query asks for; undefined when the text is empty. Throws `InvalidRequest`. */
export function compileFilter<T>(text: string | undefined, fields: Fields<T>): Filter<T> | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  const byName = new Map(Object.entries(fields).map(([name, field]) => [name.toLowerCase(), field]));
  const fieldOf = (name: string, at: number): Field<T> => {
    const field = byName.get(name.toLowerCase());
    if (field === undefined)
      throw filterError(`there is no field "${name}"; there are ${Object.keys(fields).join(', ')}`, at);
    return field;
  };
  const expression = parseFilter(text);
  return {
    matches: compile(expression, fieldOf),
    timeRange: (asked) => rangeOf(expression, asked, byName),
  };
}

function rangeOf<T>(expression: Expression, asked: string, byName: ReadonlyMap<string, Field<T>>): TimeRange {
  const range: TimeRange = {};
  for (const each of conjuncts(expression)) {
    if (each.kind !== 'compare' || each.field.toLowerCase() !== asked.toLowerCase()) continue;
    const field = byName.get(each.field.toLowerCase());
    if (field?.kind !== 'time') continue;
    const meant = timeComparison(field.bound, each.comparison);
    const time = new Date(timeOf(each.literal, each.at));
    if (meant === 'ge' || meant === 'gt' || meant === 'eq') range.from = time;
    if (meant === 'le' || meant === 'lt' || meant === 'eq') range.until = time;
  }
  return range;
}
