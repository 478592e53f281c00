// What the table of operations is turned into: the checked-in documents are those that it makes, every operation of the official
// client is in it, and the page for people needs nothing from elsewhere.
import { SiteRecoveryManagementClient } from '@azure/arm-recoveryservices-siterecovery';
import { access, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { operations } from '../../lib/api/operations.ts';
import { documentedPath, openApiDocument } from '../../lib/api/reference/openapi.ts';
import type { Operation } from '../../lib/api/operation.ts';
import { testApi } from '../support/api.ts';

const root = join(import.meta.dirname, '..', '..');
const update = process.env['UPDATE_DOCS'] !== undefined;

async function expectFile(name: string, text: string): Promise<void> {
  const file = join(root, name);
  if (update) await writeFile(file, text);
  expect(await readFile(file, 'utf8')).toBe(text);
}

/** `Group_Method` of every operation that the official client has. */
function clientOperations(): Map<string, { group: string; method: string }> {
  const credential = { getToken: async () => ({ token: 't', expiresOnTimestamp: Date.now() + 3.6e6 }) };
  const client = new SiteRecoveryManagementClient(credential, 's1');
  const found = new Map<string, { group: string; method: string }>();
  for (const [group, value] of Object.entries(client)) {
    if (typeof value !== 'object' || value === null) continue;
    const prototype = Object.getPrototypeOf(value) as object;
    if (!prototype.constructor.name.endsWith('Impl')) continue;
    for (const method of Object.getOwnPropertyNames(prototype)) {
      if (/^(constructor|_.*|.*AndWait)$/.test(method) || /(PagingPage|PagingAll)$/.test(method)) continue;
      const name = method.replace(/^begin/, '');
      const id = `${group[0]?.toUpperCase()}${group.slice(1)}_${name[0]?.toUpperCase()}${name.slice(1)}`;
      found.set(id.toLowerCase(), { group, method });
    }
  }
  return found;
}

/** Names of test files that call the operation through the official client. */
async function sdkTests(): Promise<Map<string, string>> {
  const folder = join(root, 'test', 'sdk');
  const texts = new Map<string, string>();
  for (const name of await readdir(folder))
    if (name.endsWith('.test.ts')) texts.set(`test/sdk/${name}`, await readFile(join(folder, name), 'utf8'));
  return texts;
}

function testOf(
  { id }: Operation,
  client: ReturnType<typeof clientOperations>,
  texts: ReadonlyMap<string, string>,
): string {
  const about = client.get(id.toLowerCase());
  const call = about && new RegExp(`\\b${about.group}\\s*\\.${about.method}(AndWait)?\\(`);
  const sdk = [...texts].find(([, text]) => call?.test(text))?.[0];
  return [...(sdk === undefined ? [] : [sdk]), 'test/api/everyOperation.test.ts'].join(', ');
}

const stateText: Record<Operation['state'], string> = {
  works: 'works',
  other: '400: other scenario',
};

async function coverageDocument(): Promise<string> {
  const client = clientOperations();
  const texts = await sdkTests();
  const rows = operations.map((each) => {
    const path = documentedPath(each).replace(/^.*\/vaults\/\{vaultName\}/, '');
    const kind = client.has(each.id.toLowerCase()) ? 'Site Recovery' : 'own';
    return `| ${each.id} | ${kind} | ${each.verb} | \`${path}\` | ${each.access} | ${stateText[each.state]} | ${testOf(each, client, texts)} |`;
  });
  const count = (state: Operation['state']) => operations.filter((each) => each.state === state).length;
  return [
    '# What the API covers',
    '',
    'Made from the table of operations (`lib/api/operations.ts`) by `UPDATE_DOCS=1 npx vitest run test/api/reference.test.ts`.',
    `Of ${operations.length} operations ${count('works')} work, and ${count('other')} belong`,
    'to VMware, Azure-to-Azure or migration and answer 400 with that reason. Every one is driven by `test/api/everyOperation.test.ts`; a test under',
    '`test/sdk` calls it through the unmodified official client. Paths of Site Recovery are below the vault. `Host` = enrolled source hosts and Owners.',
    '',
    '| operation | of | verb | path | access | state | tests |',
    '|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

describe('the table of operations', () => {
  it('has every operation of the official client, under the path that the client sends', () => {
    const ours = new Set(operations.map(({ id }) => id.toLowerCase()));
    const missing = [...clientOperations().keys()].filter((id) => !ours.has(id));
    expect(missing).toEqual([]);
    expect(clientOperations().size).toBeGreaterThanOrEqual(137);
  });

  it('has distinct ids, and a summary and an answer for all that works', () => {
    expect(new Set(operations.map(({ id }) => id)).size).toBe(operations.length);
    for (const { id, summary, state, answer, answers, scope } of operations) {
      expect(summary, id).toMatch(/\.$/);
      if (state === 'works' && scope === 'vault' && answers !== 'job') expect(answer, id).toBeDefined();
    }
  });

  it('makes openapi/openapi.json', async () => {
    await expectFile('openapi/openapi.json', `${JSON.stringify(openApiDocument(operations), null, 1)}\n`);
  });

  it('makes docs/api-coverage.md, without an empty cell', async () => {
    const text = await coverageDocument();
    expect(text).not.toMatch(/\|[ \t]*\|/);
    await expectFile('docs/api-coverage.md', text);
  });

  it('refers only to schemas that the document has', async () => {
    const text = JSON.stringify(openApiDocument(operations));
    const { schemas } = openApiDocument(operations)['components'] as { schemas: Record<string, unknown> };
    const used = new Set([...text.matchAll(/#\/components\/schemas\/([\w-]+)/g)].map(([, name]) => name));
    expect([...used].filter((name) => !Object.hasOwn(schemas, name ?? ''))).toEqual([]);
    expect(text).not.toContain('#/$defs/');
  });
});

it('docs/security.md names tests that exist', async () => {
  const text = await readFile(join(root, 'docs', 'security.md'), 'utf8');
  const named = new Set([...text.matchAll(/`(test\/[\w./-]+)`/g)].map(([, name = '']) => name));
  expect(named.size).toBeGreaterThan(8);
  for (const name of named) await access(join(root, name));
});

describe('the reference for people', () => {
  it('is served without a key, and asks for nothing from elsewhere', async () => {
    const { call } = testApi();
    const response = await call('GET', '/docs', undefined, {});
    expect(response.status).toBe(200);
    expect(response.headers?.['content-type']).toContain('text/html');
    expect(response.headers?.['content-security-policy']).toContain("default-src 'none'");
    const html = response.body as string;
    for (const { id } of operations) expect(html).toContain(id);
    expect(html).not.toMatch(/<script|<img|<link|@import|url\(|src=/i);
    const targets = [...html.matchAll(/href="([^"]*)"/g)].map(([, target]) => target);
    expect(targets.filter((target) => !/^(#|\/openapi\.json$)/.test(target ?? ''))).toEqual([]);
    const anchors = new Set([...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id));
    expect(targets.filter((target) => target?.startsWith('#') && !anchors.has(target.slice(1)))).toEqual([]);
  });

  it('serves the document that is checked in', async () => {
    const { call } = testApi();
    const response = await call('GET', '/openapi.json', undefined, {});
    expect(JSON.stringify(response.body)).toBe(JSON.stringify(openApiDocument(operations)));
  });
});
