// The reference as one HTML page that needs nothing from elsewhere: no script, no font, no picture.
import type { Operation } from '../operation.ts';
import { documentedPath } from './openapi.ts';
import type { Json } from './openapi.ts';

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const style = `body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1a1a1a;background:#fff}
h2{border-bottom:1px solid #ccc;margin-top:2.5rem}code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:#f5f5f5;padding:.7rem;overflow:auto}.verb{display:inline-block;min-width:4.5em;font-weight:700}
article{margin:1.4rem 0}article p{margin:.2rem 0}.state{background:#fde9c8;padding:0 .4em}nav{columns:3}
@media (prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}pre{background:#222}.state{background:#5b4310}a{color:#8ab4f8}}`;

const states: Record<Operation['state'], string> = {
  works: '',
  other: 'other scenario',
};

function nameOf(ref: unknown): string | undefined {
  return typeof ref === 'string' ? ref.split('/').at(-1) : undefined;
}

/** A schema as a reader takes it in: names, types, and links to the components that it uses. */
function schemaHtml(schema: Json): string {
  const json = escape(JSON.stringify(schema, null, 2));
  return json.replaceAll(
    /&quot;#\/components\/schemas\/([\w-]+)&quot;/g,
    (_all, name: string) => `<a href="#schema-${name}">${name}</a>`,
  );
}

function operationHtml(operation: Operation, document: Json): string {
  const path = documentedPath(operation);
  const paths = document['paths'] as Record<string, Record<string, Json>>;
  const described: Json = paths[path]?.[operation.verb.toLowerCase()] ?? {};
  const description = typeof described['description'] === 'string' ? described['description'] : '';
  const body = described['requestBody'] as { content: Record<string, { schema: Json }> } | undefined;
  const schema = body?.content['application/json']?.schema;
  const ref = nameOf(schema?.['$ref']);
  const state = states[operation.state];
  return [
    `<article id="${escape(operation.id)}">`,
    `<p><span class="verb">${operation.verb}</span> <code>${escape(path)}</code>${state === '' ? '' : ` <span class="state">${state}</span>`}</p>`,
    `<p><b>${escape(operation.id)}</b>: ${escape(operation.summary)} ${escape(description)}</p>`,
    ...Object.entries(operation.query ?? {}).map(
      ([name, about]) => `<p><code>${escape(name)}</code>: ${escape(about)}</p>`,
    ),
    schema === undefined
      ? ''
      : `<p>Body: ${ref === undefined ? `<pre>${schemaHtml(schema)}</pre>` : `<a href="#schema-${ref}">${ref}</a>`}</p>`,
    '</article>',
  ].join('\n');
}

/** The page. */
export function referenceHtml(operations: readonly Operation[], document: Json): string {
  const groups = new Map<string, Operation[]>();
  for (const each of operations) {
    const [group = ''] = each.id.split('_');
    groups.set(group, [...(groups.get(group) ?? []), each]);
  }
  const { schemas } = document['components'] as { schemas: Record<string, Json> };
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    `<title>Lifeboat API</title><style>${style}</style></head><body>`,
    '<h1>Lifeboat API</h1>',
    `<p>${escape(String((document['info'] as Json)['description']))} As <a href="/openapi.json">OpenAPI</a>.</p>`,
    `<nav>${[...groups.keys()].map((name) => `<a href="#group-${name}">${escape(name)}</a><br>`).join('')}</nav>`,
    ...[...groups].map(
      ([name, members]) =>
        `<h2 id="group-${name}">${escape(name)}</h2>\n${members.map((each) => operationHtml(each, document)).join('\n')}`,
    ),
    '<h2>Schemas</h2>',
    ...Object.entries(schemas).map(
      ([name, schema]) => `<h3 id="schema-${name}">${name}</h3><pre>${schemaHtml(schema)}</pre>`,
    ),
    '</body></html>',
  ].join('\n');
}
