// Every operation of the table, driven with bodies made from its schema, with bodies that are nearly right, and with names that
// nobody would choose: an answer always, never a 500, errors in their shape, and what is answered is exactly what the models say.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { operations } from '../../lib/api/operations.ts';
import { documentedPath } from '../../lib/api/reference/openapi.ts';
import type { Operation } from '../../lib/api/operation.ts';
import type { ApiResponse } from '../../lib/api/http.ts';
import { completeWorld } from '../support/apiWorld.ts';
import type { ApiWorld } from '../support/apiWorld.ts';
import { mutated, valuesOf } from '../support/schemaValues.ts';
import type { JsonSchema } from '../support/schemaValues.ts';

const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2 ** 31);
const runs = 6;

const errorModel = z.strictObject({
  error: z.strictObject({
    code: z.string(),
    message: z.string().min(1),
    target: z.string().optional(),
    details: z
      .array(
        z.strictObject({
          code: z.string(),
          message: z.string(),
          target: z.string().optional(),
          possibleCauses: z.string(),
          recommendedAction: z.string(),
          clientRequestId: z.string(),
        }),
      )
      .min(1),
  }),
});

const hostile = [
  '..',
  '%2e%2e',
  'a%2Fb',
  'a%00b',
  "x'y",
  'ä',
  'a'.repeat(300),
  '%0d%0aset-cookie:x',
  '~',
  'CON',
  '%23',
];

/** The path with the world's names, or with one of them replaced. */
function pathOf({ names }: ApiWorld, operation: Operation, odd: string | undefined, at: number): string {
  let index = 0;
  return documentedPath(operation).replaceAll(/\{(\w+)\}/g, (_all, name: string) => {
    const isOdd = odd !== undefined && index++ === at && !name.endsWith('Name') && name !== 'subscriptionId';
    return isOdd ? odd : (names[name] ?? 'none');
  });
}

function assertAnswer(operation: Operation, response: ApiResponse, about: string): void {
  expect(response.status, about).toBeLessThan(500);
  for (const [name, value] of Object.entries(response.headers ?? {}))
    expect(`${name}: ${value}`, about).not.toMatch(/[\r\n\0]/);
  if (response.status >= 400) {
    expect(errorModel.safeParse(response.body).error, about).toBeUndefined();
    return;
  }
  const { answer, answers } = operation;
  if (answers === 'job') {
    expect(response.status, about).toBe(202);
    for (const header of ['azure-asyncoperation', 'location', 'retry-after', 'x-ms-request-id'])
      expect(response.headers, about).toHaveProperty([header]);
  }
  if (response.status >= 202 || answer === undefined) return;
  const model =
    answers === 'page' ? z.strictObject({ value: z.array(answer), nextLink: z.string().nullable() }) : answer;
  if (answers === 'page' || answers === 'resource')
    expect(model.safeParse(response.body).error?.message, about).toBeUndefined();
}

/** Reads change nothing: they share a world. */
let readWorld: Promise<ApiWorld> | undefined;

async function drive(
  operation: Operation,
  body: unknown,
  odd?: { name: string; at: number },
): Promise<ApiResponse> {
  const world = await (operation.verb === 'GET' ? (readWorld ??= completeWorld()) : completeWorld());
  const path = pathOf(world, operation, odd?.name, odd?.at ?? 0);
  const response = await world.api.call(operation.verb, path, body);
  // Dots may make it the path of another operation: then its answer is another one.
  if (odd === undefined || !/^(\.|%2e)/.test(odd.name))
    assertAnswer(operation, response, `${operation.verb} ${path} ${JSON.stringify({ body }).slice(0, 600)}`);
  expect(response.status).toBeLessThan(500);
  // Every operation is reached under its own path.
  if (odd === undefined) expect(response.status).not.toBe(405);
  return response;
}

const schemaOf = (operation: Operation): JsonSchema =>
  operation.body === undefined
    ? { type: 'object' }
    : { ...z.toJSONSchema(operation.body, { io: 'input', unrepresentable: 'any' }) };

describe(`every operation (TEST_SEED=${seed})`, () => {
  it.each(operations.map((each) => [each.id, each] as const))('%s', async (_id, operation) => {
    const schema = schemaOf(operation);
    const valid = valuesOf(schema);
    const options = { numRuns: operation.body === undefined ? 1 : runs, seed };
    const statuses = new Set<number>();
    await fc.assert(
      fc.asyncProperty(valid, async (body) => {
        statuses.add((await drive(operation, operation.body === undefined ? undefined : body)).status);
      }),
      options,
    );
    if (operation.state === 'other') expect([...statuses]).toEqual([400]);
    await fc.assert(
      fc.asyncProperty(valid.chain(mutated), async (body) => {
        await drive(operation, body);
      }),
      { ...options, numRuns: operation.body === undefined ? 1 : runs },
    );
    const params = documentedPath(operation).match(/\{\w+\}/g)?.length ?? 0;
    if (params > 3 || (operation.scope === 'service' && params > 0)) {
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...hostile), fc.nat(params - 1), async (name, at) => {
          await drive(operation, undefined, { name, at });
        }),
        { numRuns: 4, seed },
      );
    }
  });
});
