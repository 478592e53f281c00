// The OpenAPI document, made from the table of operations: paths, parameters, bodies and answers from the schemas that requests are
// checked with.
import * as z from 'zod';
import type { Operation } from '../operation.ts';

/** JSON; keys in the order in which they are to be read. */
export type Json = { [key: string]: unknown };

const vaultPrefix =
  '/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.RecoveryServices/vaults/{vaultName}';

/** The whole path, as the document has it. */
export const documentedPath = ({ scope, path }: Pick<Operation, 'scope' | 'path'>): string =>
  scope === 'vault' ? `${vaultPrefix}${path}` : path;

const refPrefix = '#/components/schemas/';

const without = (json: Json, key: string): Json =>
  Object.fromEntries(Object.entries(json).filter(([name]) => name !== key));

/** Every schema with an id becomes a component; the others are written where they stand. */
class Schemas {
  readonly components: Json = {};

  of(schema: z.ZodType, io: 'input' | 'output'): Json {
    const converted: Json = { ...z.toJSONSchema(schema, { io, unrepresentable: 'any', reused: 'inline' }) };
    const { $defs = {}, ...inline } = without(converted, '$schema') as Json & { $defs?: Json };
    for (const [name, definition] of Object.entries($defs)) this.#add(name, definition as Json);
    const id = typeof inline['id'] === 'string' ? inline['id'] : undefined;
    if (id === undefined) return this.#refer(inline) as Json;
    this.#add(id, inline);
    return { $ref: `${refPrefix}${id}` };
  }

  #add(name: string, definition: Json): void {
    this.components[name] = this.#refer(without(definition, 'id'));
  }

  /** References point to components instead of the schema's own definitions. */
  #refer(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((each) => this.#refer(each));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [
        key,
        key === '$ref' && typeof inner === 'string'
          ? inner.replace('#/$defs/', refPrefix)
          : this.#refer(inner),
      ]),
    );
  }
}

const text = (schema: Json): Json => ({ 'application/json': { schema } });

function parametersOf({ path, scope, query = {}, answers }: Operation): Json[] {
  const names = [...documentedPath({ path, scope }).matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const parameter = (name: string, where: 'path' | 'query', description?: string): Json => ({
    ...{ name, in: where, ...(where === 'path' ? { required: true } : {}), schema: { type: 'string' } },
    ...(description === undefined ? {} : { description }),
  });
  const paging: Record<string, string> =
    answers === 'page' ? { $take: 'entries of a page, 1 to 1000', skipToken: 'from nextLink' } : {};
  return [
    ...names.map((name) => parameter(name, 'path')),
    parameter('api-version', 'query', '2016-08-10 or later; 2023-06-01 when absent'),
    ...Object.entries({ ...query, ...paging }).map(([name, about]) => parameter(name, 'query', about)),
  ];
}

const lroHeaders: Json = Object.fromEntries(
  ['Azure-AsyncOperation', 'Location', 'Retry-After', 'x-ms-request-id'].map((name) => [
    name,
    { schema: { type: 'string' } },
  ]),
);

function successOf(operation: Operation, schemas: Schemas): Json {
  const { answers, answer, state } = operation;
  if (state === 'other') return {};
  if (answers === 'job') return { 202: { description: 'Accepted; poll the URLs.', headers: lroHeaders } };
  if (answers === 'nothing' || answer === undefined) return { 200: { description: 'Done.' } };
  const schema = schemas.of(answer, 'output');
  if (answers === 'resource') return { 200: { description: 'The resource.', content: text(schema) } };
  const page = {
    type: 'object',
    properties: {
      value: { type: 'array', items: schema },
      nextLink: { type: ['string', 'null'], description: 'Complete and absolute; null on the last page.' },
    },
    required: ['value', 'nextLink'],
  };
  return { 200: { description: 'One page.', content: text(page) } };
}

function describeAccess({ access }: Operation): string {
  if (access === 'Anyone') return 'Needs no key: the request proves itself.';
  return access === 'Host' ? 'For enrolled source hosts, and Owners.' : `Needs the role ${access}.`;
}

function operationOf(operation: Operation, schemas: Schemas): Json {
  const { id, summary, body, access, state, answer, answers } = operation;
  const [group = ''] = id.split('_');
  if (answers === 'job' && answer) schemas.of(answer, 'output');
  const error = { description: 'An error.', content: text({ $ref: `${refPrefix}Error` }) };
  return {
    ...{ operationId: id, tags: [group], summary, description: describeAccess(operation) },
    ...(state === 'works' ? {} : { 'x-lifeboat-state': state }),
    ...{ parameters: parametersOf(operation) },
    ...(body ? { requestBody: { content: text(schemas.of(body, 'input')) } } : {}),
    responses: { ...successOf(operation, schemas), default: error },
    ...(access === 'Anyone' ? { security: [] } : {}),
  };
}

const errorSchema: Json = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['code', 'message', 'details'],
      properties: {
        code: { type: 'string', description: 'A code of docs/errors.md.' },
        message: { type: 'string' },
        target: { type: 'string', description: 'What it is about: a field, a name.' },
        details: {
          type: 'array',
          items: {
            type: 'object',
            properties: Object.fromEntries(
              ['code', 'message', 'target', 'possibleCauses', 'recommendedAction', 'clientRequestId'].map(
                (name) => [name, { type: 'string' }],
              ),
            ),
          },
        },
      },
    },
  },
};

/** The document of OpenAPI 3.1. The same table gives the same text, so that a checked-in copy can be compared. */
export function openApiDocument(operations: readonly Operation[]): Json {
  const schemas = new Schemas();
  const paths: Record<string, Json> = {};
  for (const each of operations) {
    const path = documentedPath(each);
    paths[path] = { ...paths[path], [each.verb.toLowerCase()]: operationOf(each, schemas) };
  }
  const sorted = Object.fromEntries(
    Object.entries({ ...schemas.components, Error: errorSchema }).sort(([one], [other]) =>
      one < other ? -1 : 1,
    ),
  );
  return {
    openapi: '3.1.0',
    info: {
      title: 'Lifeboat',
      version: '1',
      description:
        'Disaster recovery for Hyper-V to Azure. Below the vault: the management API of Site Recovery. Beside it: /lifeboat/v1 (what that API has no words for) and /agent/v1 (source hosts).',
    },
    security: [{ bearer: [] }],
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: sorted,
    },
  };
}
