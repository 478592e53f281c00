// Route templates against the rules of ASP.NET: what matches, with which values, and what is tried first.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchRoute } from '../../../local/http/routeTemplate.ts';
import { parseRouteTemplate } from '../../../local/http/routeTemplateParser.ts';
import { RouteTable, toHttpRoute } from '../../../local/http/routeTable.ts';
import type { LoadedFunction } from '../../../local/worker/types.ts';

function httpFunction(name: string, route?: string, methods?: string[]): LoadedFunction {
  const trigger = { name: 'request', type: 'httpTrigger', direction: 'in' as const, route, methods };
  return { name, functionId: name, trigger, bindings: [trigger] };
}

describe('matchRoute', () => {
  // template, path, parameters (undefined: no match)
  it.each<[string, string, Record<string, string> | undefined]>([
    ['', '/', {}],
    ['a/b', '/a/b', {}],
    ['a/b', '/A/B/', {}],
    ['a/b', '/a', undefined],
    ['a/b', '/a/b/c', undefined],
    ['a/b', '/a//b', undefined],
    ['a/{x}', '/a/1', { x: '1' }],
    ['a/{x}', '/a/', undefined],
    ['a/{x?}', '/a', {}],
    ['a/{x=5}', '/a', { x: '5' }],
    ['a/{x=5}', '/a/6', { x: '6' }],
    ['a/{*rest}', '/a', {}],
    ['a/{*rest}', '/a/b/c', { rest: 'b/c' }],
    ['a/{**rest}', '/a/b%20c/d', { rest: 'b c/d' }],
    ['{x}', '/%C3%A4%2Fb', { x: 'ä%2Fb' }],
    ['{x}', '/100%', { x: '100%' }],
    ['a-{x}-{y}', '/a-1-2', { x: '1', y: '2' }],
    ['{name}.{ext}', '/a.b.c', { name: 'a', ext: 'b.c' }],
    ['{name}.{ext?}', '/a', { name: 'a' }],
    ['{name}.{ext?}', '/a.b', { name: 'a', ext: 'b' }],
    ['{x:int}', '/12', { x: '12' }],
    ['{x:int}', '/2147483648', undefined],
    ['{x:long}', '/2147483648', { x: '2147483648' }],
    ['{x:int?}', '/', {}],
    ['{x:alpha}', '/a1', undefined],
    ['{x:guid}', '/00000000-0000-0000-0000-000000000000', { x: '00000000-0000-0000-0000-000000000000' }],
    ['{x:guid}', '/0', undefined],
    ['{x:bool}', '/TRUE', { x: 'TRUE' }],
    ['{x:datetime}', '/2026-01-02', { x: '2026-01-02' }],
    ['{x:double}', '/1.5', { x: '1.5' }],
    ['{x:length(2)}', '/ab', { x: 'ab' }],
    ['{x:length(2,3)}', '/abcd', undefined],
    ['{x:minlength(3)}', '/ab', undefined],
    ['{x:maxlength(3)}', '/abc', { x: 'abc' }],
    ['{x:min(5)}', '/4', undefined],
    ['{x:max(5)}', '/5', { x: '5' }],
    ['{x:range(1,5)}', '/6', undefined],
    ['{x:int:min(5)}', '/7', { x: '7' }],
    ['{x:regex(^\\d{{3}}$)}', '/123', { x: '123' }],
    ['{x:regex(^\\d{{3}}$)}', '/1234', undefined],
    ['{x:regex(^(a|b):c$)}', '/a:c', { x: 'a:c' }],
  ])('%s on %s', (template, path, expected) => {
    expect(matchRoute(parseRouteTemplate(template), path)).toEqual(expected);
  });

  it('gives back any parameter value that a client encodes', () => {
    const template = parseRouteTemplate('items/{id}/end');
    const value = fc.string({ minLength: 1, unit: 'binary' }).filter((text) => !text.includes('/'));
    fc.assert(
      fc.property(value, (id) => {
        expect(matchRoute(template, `/items/${encodeURIComponent(id)}/end`)).toEqual({ id });
      }),
    );
  });
});

describe('parseRouteTemplate refuses', () => {
  it.each([
    ['a//b', 'empty segment'],
    ['{x', 'not closed'],
    ['x}', '"}" without "{"'],
    ['{}', 'no parameter name'],
    ['{x}/{X}', 'appears twice'],
    ['{*x}/b', 'must come last'],
    ['{x:nothing}', 'constraint "nothing" is not known'],
    ['{x:length}', 'constraint "length" is not known'],
  ])('%s', (template, message) => {
    expect(() => parseRouteTemplate(template)).toThrow(message);
    expect(() => parseRouteTemplate(template)).toThrow(`The route "${template}"`);
  });
});

describe('RouteTable', () => {
  const names = ['{*all}', 'items/{id}', 'items/{id:int}', 'items/special', 'items/a-{x}', 'items/{*rest}'];

  it.each([
    ['/items/special', 'items/special'],
    ['/items/a-1', 'items/a-{x}'],
    ['/items/7', 'items/{id:int}'],
    ['/items/x', 'items/{id}'],
    ['/items/x/y', 'items/{*rest}'],
    ['/other', '{*all}'],
  ])('prefers for %s the route %s, in whatever order they were added', (path, expected) => {
    fc.assert(
      fc.property(fc.shuffledSubarray(names, { minLength: names.length }), (order) => {
        const table = new RouteTable();
        for (const name of order) table.add(toHttpRoute(httpFunction(name, name), ''));
        expect(table.find('GET', path)?.route.loaded.name).toBe(expected);
      }),
      { numRuns: 20 },
    );
  });

  it('chooses by method, and finds nothing for another one', () => {
    const table = new RouteTable();
    table.add(toHttpRoute(httpFunction('read', 'x', ['get']), 'api'));
    table.add(toHttpRoute(httpFunction('write', 'x', ['PUT']), 'api'));
    expect(table.find('GET', '/api/x')?.route.loaded.name).toBe('read');
    expect(table.find('PUT', '/api/x')?.route.loaded.name).toBe('write');
    expect(table.find('DELETE', '/api/x')).toBeUndefined();
  });

  it('names a route after its function when it has none, and honours an empty one', () => {
    expect(toHttpRoute(httpFunction('ping'), '/api/').path).toBe('api/ping');
    expect(toHttpRoute(httpFunction('root', ''), '').path).toBe('');
    expect(toHttpRoute(httpFunction('ping'), '').methods).toContain('DELETE');
  });
});

describe('toHttpRoute', () => {
  const withLevel = (authLevel?: unknown): unknown => {
    const loaded = httpFunction('f');
    return toHttpRoute({ ...loaded, trigger: { ...loaded.trigger, authLevel } }, 'api').access;
  };

  it('reads the level, and asks for a key when none is named', () => {
    expect(['anonymous', 'Function', 'ADMIN', undefined].map(withLevel)).toEqual([
      'anonymous',
      'function',
      'admin',
      'function',
    ]);
  });

  it('refuses a level it does not know', () => {
    expect(() => withLevel('user')).toThrow('authLevel "user" is unknown');
  });
});
