// Values that fit a JSON schema, and values that do not: what the API is driven with.
import fc from 'fast-check';

export type JsonSchema = Record<string, unknown>;

/** Patterns that the API's schemas use, with text that fits: nothing can be made from a pattern alone. */
const byPattern: readonly [needle: string, value: fc.Arbitrary<string>][] = [
  ['[01]\\d|2[0-3]', fc.constantFrom('13:30:00', '00:00:00', '23:59:59')],
  ['A-Za-z]{2,3}', fc.constantFrom('en-US', 'de')],
  ['{43}', fc.constant('A'.repeat(43))],
  ['{86}', fc.constant('A'.repeat(86))],
  ['{0,127}', fc.constantFrom('net1', 'a.b-c_d')],
  ['{0,254}', fc.constantFrom('hv1.contoso.local', 'host-2')],
  ['{1,64}', fc.constantFrom('vm-1', 'os', 'data', 'a')],
  ['23]', fc.constantFrom('18:30', '06:00')],
];

function textOf(schema: JsonSchema): fc.Arbitrary<string> {
  const {
    format,
    pattern,
    minLength = 0,
    maxLength = 50,
  } = schema as {
    format?: string;
    pattern?: string;
    minLength?: number;
    maxLength?: number;
  };
  if (format === 'email') return fc.constant('someone@contoso.example');
  if (format === 'uuid' || format === 'guid') return fc.uuid();
  if (format === 'date-time') return fc.constantFrom('2026-01-31T18:00:00Z', '2025-06-01T00:00:00.000Z');
  const known = pattern === undefined ? undefined : byPattern.find(([needle]) => pattern.includes(needle));
  if (known) return known[1];
  if (pattern !== undefined) return fc.constantFrom('UTC', 'a');
  return fc.string({ minLength, maxLength: Math.max(minLength, Math.min(maxLength, 60)), unit: 'grapheme' });
}

function numberOf(schema: JsonSchema): fc.Arbitrary<number> {
  const { type, minimum, maximum, exclusiveMinimum } = schema as Record<string, number> & { type?: unknown };
  const min = minimum ?? (exclusiveMinimum === undefined ? -1e6 : exclusiveMinimum + 1);
  const max = Math.min(maximum ?? 1e9, 1e12);
  return type === 'integer'
    ? fc.integer({ min: Math.max(min, -(2 ** 31)), max: Math.min(max, 2 ** 31 - 1) })
    : fc.double({ min, max, noNaN: true });
}

/** Values that the schema lets through. Optional fields are there or not. */
export function valuesOf(schema: JsonSchema, root: JsonSchema = schema): fc.Arbitrary<unknown> {
  const ref = schema['$ref'];
  if (typeof ref === 'string') {
    const name = ref.split('/').at(-1) ?? '';
    return valuesOf((root['$defs'] as Record<string, JsonSchema>)[name]!, root);
  }
  if ('const' in schema) return fc.constant(schema['const']);
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...(schema['enum'] as unknown[]));
  const choices = (schema['anyOf'] ?? schema['oneOf']) as JsonSchema[] | undefined;
  if (choices) return fc.oneof(...choices.map((each) => valuesOf(each, root)));
  const [type] = [schema['type']].flat() as string[];
  if (type === 'string') return textOf(schema);
  if (type === 'number' || type === 'integer') return numberOf(schema);
  if (type === 'boolean') return fc.boolean();
  if (type === 'null') return fc.constant(null);
  if (type === 'array') {
    const { minItems = 0, maxItems = 3 } = schema as { minItems?: number; maxItems?: number };
    return fc.array(valuesOf((schema['items'] ?? {}) as JsonSchema, root), {
      minLength: minItems,
      maxLength: Math.max(minItems, Math.min(maxItems, 3)),
    });
  }
  if (type !== 'object') return fc.constantFrom<unknown>(null, 'x', 1, true);
  return objectsOf(schema, root);
}

function objectsOf(schema: JsonSchema, root: JsonSchema): fc.Arbitrary<unknown> {
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, JsonSchema>);
  if (properties.length === 0 && typeof schema['additionalProperties'] === 'object')
    return fc.dictionary(
      fc.constantFrom('a', 'b c', 'ü'),
      valuesOf(schema['additionalProperties'] as JsonSchema, root),
      { maxKeys: 2 },
    );
  const values = Object.fromEntries(properties.map(([name, each]) => [name, valuesOf(each, root)]));
  return fc.record(values, { requiredKeys: (schema['required'] ?? []) as string[] });
}

/** What nobody expects in place of a value. */
const oddities: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    0,
    -1,
    1e308,
    '',
    '../..',
    '%2e%2e%2f',
    'a'.repeat(5000),
    [],
    {},
    [[[]]],
    true,
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.anything({ maxDepth: 2, withBigInt: false, withDate: false, withMap: false, withSet: false }),
);

/** The value with one part of it replaced by something odd; may happen to be valid. */
export function mutated(value: unknown): fc.Arbitrary<unknown> {
  if (typeof value !== 'object' || value === null) return oddities;
  const keys = Object.keys(value);
  if (keys.length === 0) return oddities;
  return fc.oneof(
    { weight: 1, arbitrary: oddities },
    {
      weight: 4,
      arbitrary: fc
        .constantFrom(...keys)
        .chain((key) =>
          mutated((value as Record<string, unknown>)[key]).map((inner) =>
            Array.isArray(value)
              ? value.map((each: unknown, index) => (String(index) === key ? inner : each))
              : { ...value, [key]: inner },
          ),
        ),
    },
  );
}
