// The contract of TablePort, for any adapter. Partitions are never reused.
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { KeyRange, RowWrite, TablePort } from '../../lib/storage/ports.ts';
import { codeOf, collect } from './outcomes.ts';

let partitions = 0;
const freshPartition = () => `partition-${++partitions}`;

export function tableSuite(adapter: string, make: () => TablePort): void {
  describe(`tables (${adapter})`, () => {
    let port: TablePort;
    beforeAll(() => {
      port = make();
    });

    const insert = (key: string, value: unknown): RowWrite => ({ kind: 'insert', key, value });
    const keysOf = async (partition: string, range?: KeyRange) =>
      (await collect(port.list(partition, range))).map(({ key }) => key);
    const seeded = async (...keys: string[]) => {
      const partition = freshPartition();
      await port.transact(
        partition,
        keys.map((key) => insert(key, { key })),
      );
      const etags = new Map((await collect(port.list(partition))).map(({ key, etag }) => [key, etag]));
      return { partition, etag: (key: string) => etags.get(key)! };
    };

    describe('single writes', () => {
      test('insert, find, replace, put, delete', async () => {
        const partition = freshPartition();
        await port.transact(partition, [insert('a', { n: 1 })]);
        const first = (await port.find(partition, 'a'))!;
        expect(first).toMatchObject({ key: 'a', value: { n: 1 } });
        await port.transact(partition, [{ kind: 'replace', key: 'a', value: { m: 2 }, etag: first.etag }]);
        const second = (await port.find(partition, 'a'))!;
        expect(second.value).toEqual({ m: 2 });
        expect(second.etag).not.toBe(first.etag);
        await port.transact(partition, [{ kind: 'put', key: 'a', value: [3] }]);
        await port.transact(partition, [{ kind: 'put', key: 'b', value: null }]);
        expect((await collect(port.list(partition))).map(({ value }) => value)).toEqual([[3], null]);
        const third = (await port.find(partition, 'a'))!;
        await port.transact(partition, [{ kind: 'delete', key: 'a', etag: third.etag }]);
        expect(await port.find(partition, 'a')).toBeUndefined();
        expect(await keysOf(partition)).toEqual(['b']);
      });

      test('a precondition that does not hold changes nothing', async () => {
        const { partition, etag } = await seeded('a');
        const stale = etag('a');
        await port.transact(partition, [{ kind: 'put', key: 'a', value: 'newer' }]);
        const refused: RowWrite[] = [
          insert('a', 1),
          { kind: 'replace', key: 'a', value: 1, etag: stale },
          { kind: 'delete', key: 'a', etag: stale },
          { kind: 'replace', key: 'gone', value: 1, etag: stale },
          { kind: 'delete', key: 'gone', etag: stale },
        ];
        for (const write of refused) {
          expect([write, await codeOf(port.transact(partition, [write]))]).toEqual([
            write,
            'PreconditionFailed',
          ]);
        }
        expect((await port.find(partition, 'a'))?.value).toBe('newer');
        expect(await keysOf(partition)).toEqual(['a']);
      });

      test('replacing a large value by a small one leaves nothing of the large one', async () => {
        const partition = freshPartition();
        await port.transact(partition, [insert('a', 'x'.repeat(100_000))]);
        await port.transact(partition, [{ kind: 'put', key: 'a', value: 'small' }]);
        const row = (await port.find(partition, 'a'))!;
        expect(row.value).toBe('small');
        await port.transact(partition, [{ kind: 'replace', key: 'a', value: [], etag: row.etag }]);
        expect((await port.find(partition, 'a'))?.value).toEqual([]);
      });
    });

    describe('transactions', () => {
      test('all kinds together', async () => {
        const { partition, etag } = await seeded('a', 'b', 'c');
        await port.transact(partition, [
          insert('d', 4),
          { kind: 'delete', key: 'a', etag: etag('a') },
          { kind: 'replace', key: 'b', value: 'B', etag: etag('b') },
          { kind: 'delete', key: 'c', etag: etag('c') },
          { kind: 'put', key: 'e', value: 5 },
        ]);
        const rows = await collect(port.list(partition));
        expect(rows.map(({ key, value }) => [key, value])).toEqual([
          ['b', 'B'],
          ['d', 4],
          ['e', 5],
        ]);
      });

      const stale = 'W/"datetime\'2020-01-01T00%3A00%3A00.0000000Z\'"';
      test.each<[string, RowWrite]>([
        ['an insert of a row that exists', { kind: 'insert', key: 'b', value: 0 }],
        ['a replace of a changed row', { kind: 'replace', key: 'b', value: 0, etag: stale }],
        ['a delete of a changed row', { kind: 'delete', key: 'b', etag: stale }],
        ['a replace of a missing row', { kind: 'replace', key: 'z', value: 0, etag: stale }],
        ['a delete of a missing row', { kind: 'delete', key: 'z', etag: stale }],
      ])('%s fails the others, wherever it stands', async (_what, failing) => {
        const { partition, etag } = await seeded('a', 'b', 'c');
        const before = await collect(port.list(partition));
        const good: RowWrite[] = [
          insert('d', 1),
          { kind: 'replace', key: 'a', value: 0, etag: etag('a') },
          { kind: 'delete', key: 'c', etag: etag('c') },
        ];
        for (let at = 0; at <= good.length; at++) {
          expect(await codeOf(port.transact(partition, good.toSpliced(at, 0, failing)))).toBe(
            'PreconditionFailed',
          );
        }
        expect(await collect(port.list(partition))).toEqual(before);
      });

      test('of 32 concurrent transactions with the same ETag one wins', async () => {
        const { partition, etag } = await seeded('a', 'b');
        const codes = await Promise.all(
          Array.from({ length: 32 }, (_, winner) =>
            codeOf(
              port.transact(partition, [
                { kind: 'replace', key: 'a', value: winner, etag: etag('a') },
                insert(`by-${winner}`, winner),
              ]),
            ),
          ),
        );
        const winner = codes.indexOf('ok');
        expect(codes.filter((code) => code === 'PreconditionFailed')).toHaveLength(31);
        expect((await port.find(partition, 'a'))?.value).toBe(winner);
        expect(await keysOf(partition)).toEqual(['a', 'b', `by-${winner}`]);
      });

      test('of 16 concurrent deletions with the same ETag one wins, and a change beats them all', async () => {
        const { partition, etag } = await seeded('a', 'b');
        const remove = (key: string) =>
          codeOf(port.transact(partition, [{ kind: 'delete', key, etag: etag(key) }]));
        const codes = await Promise.all(Array.from({ length: 16 }, () => remove('a')));
        expect(codes.filter((code) => code === 'ok')).toHaveLength(1);
        await port.transact(partition, [{ kind: 'put', key: 'b', value: 'kept' }]);
        expect(await remove('b')).toBe('PreconditionFailed');
        expect((await port.find(partition, 'b'))?.value).toBe('kept');
      });

      test('100 writes pass; none, 101, or two of one row are refused', async () => {
        const partition = freshPartition();
        const rows = Array.from({ length: 101 }, (_, index) => insert(String(index).padStart(3, '0'), index));
        expect(await codeOf(port.transact(partition, rows))).toBe('InvalidRequest');
        expect(await codeOf(port.transact(partition, []))).toBe('InvalidRequest');
        expect(
          await codeOf(port.transact(partition, [insert('x', 1), { kind: 'put', key: 'x', value: 2 }])),
        ).toBe('InvalidRequest');
        expect(await keysOf(partition)).toEqual([]);
        await port.transact(partition, rows.slice(0, 100));
        expect(await keysOf(partition)).toHaveLength(100);
      });

      test('any sequence of transactions equals a map', async () => {
        const weights = { put: 6, insert: 2, replace: 3, delete: 3, 'stale replace': 1, 'stale delete': 1 };
        const kinds = fc.oneof(
          ...Object.entries(weights).map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind) })),
        );
        const write = fc.record({
          kind: kinds,
          key: fc.constantFrom('a', 'b', 'c', "d'e"),
          value: fc.nat(99),
        });
        const transaction = fc.uniqueArray(write, { selector: ({ key }) => key, minLength: 1, maxLength: 4 });
        const run = async (transactions: { kind: string; key: string; value: number }[][]) => {
          const partition = freshPartition();
          const model = new Map<string, number>();
          for (const drafts of transactions) {
            const current = new Map((await collect(port.list(partition))).map((row) => [row.key, row]));
            const writes = drafts.map(({ kind, key, value }): RowWrite => {
              const etag = kind.startsWith('stale') ? stale : (current.get(key)?.etag ?? stale);
              if (kind.endsWith('replace')) return { kind: 'replace', key, value, etag };
              if (kind.endsWith('delete')) return { kind: 'delete', key, etag };
              return { kind: kind === 'insert' ? 'insert' : 'put', key, value };
            });
            const holds = drafts.every(
              ({ kind, key }) =>
                kind === 'put' || (!kind.startsWith('stale') && model.has(key) === (kind !== 'insert')),
            );
            expect(await codeOf(port.transact(partition, writes))).toBe(holds ? 'ok' : 'PreconditionFailed');
            if (!holds) continue;
            for (const { kind, key, value } of drafts) {
              if (kind === 'delete') model.delete(key);
              else model.set(key, value);
            }
          }
          const rows = await collect(port.list(partition));
          expect(rows.map(({ key, value }) => [key, value])).toEqual(
            [...model].sort(([a], [b]) => (a < b ? -1 : 1)),
          );
        };
        await fc.assert(fc.asyncProperty(fc.array(transaction, { maxLength: 8 }), run), { numRuns: 40 });
      });
    });

    describe('keys', () => {
      test('list is ascending and ranges are half-open', async () => {
        const keys = ['000000000001', '000000000002', '000000000010', 'A', 'a', 'disk~x', 'é', '日本'];
        const { partition } = await seeded(...keys.toReversed());
        expect(await keysOf(partition)).toEqual(keys);
        expect(await keysOf(partition, { from: '000000000002', to: 'a' })).toEqual(keys.slice(1, 4));
        expect(await keysOf(partition, { from: 'b' })).toEqual(['disk~x', 'é', '日本']);
        expect(await keysOf(partition, { to: '000000000001' })).toEqual([]);
        expect(await keysOf(freshPartition())).toEqual([]);
      });

      test('lists more rows than one answer has', async () => {
        const partition = freshPartition();
        const keys = Array.from({ length: 450 }, (_, index) => String(index).padStart(6, '0'));
        for (let start = 0; start < keys.length; start += 100) {
          await port.transact(
            partition,
            keys.slice(start, start + 100).map((key) => insert(key, key)),
          );
        }
        expect(await keysOf(partition)).toEqual(keys);
        expect(await keysOf(partition, { from: '000050', to: '000420' })).toEqual(keys.slice(50, 420));
      });

      test.each(["it's", 'a b', '100%', '%41', 'a+b', 'a&b=c', '(x)', 'ü€', '.', "''", 'x'.repeat(512)])(
        'key "%s" works as row key and as partition',
        async (key) => {
          const partition = `${freshPartition()} ${key}`.slice(0, 512);
          await port.transact(partition, [insert(key, 1), insert(`${key.slice(1)}~`, 2)]);
          const row = (await port.find(partition, key))!;
          expect(row).toMatchObject({ key, value: 1 });
          expect(await keysOf(partition, { from: key, to: `${key}!` })).toEqual([key]);
          await port.transact(partition, [
            { kind: 'delete', key, etag: row.etag },
            { kind: 'put', key: 'other', value: 3 },
          ]);
          expect(await port.find(partition, key)).toBeUndefined();
        },
      );

      test.each(['', 'a/b', 'a\\b', 'a#b', 'a?b', 'a\nb', 'a\u0085b', 'x'.repeat(513)])(
        'key %j is refused',
        async (key) => {
          const partition = freshPartition();
          expect(await codeOf(port.transact(partition, [insert(key, 1)]))).toBe('InvalidRequest');
          expect(await codeOf(port.transact(key, [insert('a', 1)]))).toBe('InvalidRequest');
          expect(await codeOf(port.find(partition, key))).toBe('InvalidRequest');
          expect(await codeOf(port.find(key, 'a'))).toBe('InvalidRequest');
          expect(await codeOf(collect(port.list(key)))).toBe('InvalidRequest');
        },
      );
    });

    describe('values', () => {
      const roundTrip = async (value: unknown) => {
        const partition = freshPartition();
        await port.transact(partition, [insert('a', value)]);
        return (await port.find(partition, 'a'))?.value;
      };

      test('any JSON comes back', async () => {
        const value = fc.jsonValue({ stringUnit: 'binary' });
        const check = async (given: unknown) => {
          expect(await roundTrip(given)).toEqual(JSON.parse(JSON.stringify(given)));
        };
        await fc.assert(fc.asyncProperty(value, check), { numRuns: 50 });
      });

      test('500 KiB of text come back, more is refused', async () => {
        const largest = 'x'.repeat(500 * 1024 - 2);
        expect((await roundTrip(largest)) === largest).toBe(true);
        expect(await codeOf(roundTrip(`${largest}x`))).toBe('InvalidRequest');
      });

      test.each([0, 1, 2, 3])(
        'text of surrogate pairs, shifted by %d, is cut nowhere inside a pair',
        async (shift) => {
          const text = `${'x'.repeat(shift)}${'🚣'.repeat(50_000)}`;
          expect((await roundTrip(text)) === text).toBe(true);
        },
      );

      test.each([
        '\ud83d',
        '\u0000\u2028\ufffe',
        '--changeset\r\n\r\nDELETE /x HTTP/1.1\r\n',
        '{"odata.error":{}}',
      ])('text %j comes back', async (text) => {
        expect(await roundTrip({ text })).toEqual({ text });
      });

      test('what is not JSON is refused', async () => {
        expect(await codeOf(roundTrip(undefined))).toBe('InvalidRequest');
        expect(await codeOf(roundTrip(() => 1))).toBe('InvalidRequest');
      });

      test('a row is a copy', async () => {
        const partition = freshPartition();
        const value = { list: [1] };
        await port.transact(partition, [insert('a', value)]);
        value.list.push(2);
        ((await port.find(partition, 'a'))?.value as typeof value).list.push(3);
        expect((await port.find(partition, 'a'))?.value).toEqual({ list: [1] });
      });
    });
  });
}
