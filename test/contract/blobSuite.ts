// The contract of BlobPort, for any adapter. `make` gives the port to one container and to the one that copies go to.
import { beforeAll, describe, expect, test } from 'vitest';
import pMap from 'p-map';
import type { BlobPort } from '../../lib/storage/ports.ts';
import { codeOf, collect, expectBytes, freshName, patternBytes } from './outcomes.ts';

const mib = 1024 * 1024;

export interface BlobSuitePorts {
  source: BlobPort;
  target: BlobPort;
  targetName: string;
}

export function blobSuite(adapter: string, make: () => BlobSuitePorts): void {
  describe(`block blobs (${adapter})`, () => {
    let port: BlobPort;
    let target: BlobPort;
    let targetName: string;
    beforeAll(() => {
      ({ source: port, target, targetName } = make());
    });

    const put = async (data = patternBytes(1000, 1), metadata?: Record<string, string>) => {
      const name = freshName('log');
      await port.put(name, data, metadata);
      return (await port.find(name))!;
    };
    const whole = (sizeBytes: number) => ({ offsetBytes: 0, lengthBytes: sizeBytes });

    test('put, find and read', async () => {
      const data = patternBytes(1000, 1);
      const info = await put(data, { sha256: 'abc', takenat: '2026-01-01T00:00:00Z' });
      expect(info).toMatchObject({
        sizeBytes: 1000,
        metadata: { sha256: 'abc', takenat: '2026-01-01T00:00:00Z' },
      });
      expect(info.lastModified).toBeInstanceOf(Date);
      expect(await port.read(info.name, whole(1000), info.etag)).toEqual(data);
      expect(await port.read(info.name, { offsetBytes: 999, lengthBytes: 1 }, info.etag)).toEqual(
        data.slice(999),
      );
      expect(await port.find(freshName('missing'))).toBeUndefined();
    });

    test('the stored bytes are a copy of what was given', async () => {
      const data = patternBytes(100, 1);
      const info = await put(data);
      data.fill(0);
      (await port.read(info.name, whole(100), info.etag)).fill(0);
      expect(await port.read(info.name, whole(100), info.etag)).toEqual(patternBytes(100, 1));
    });

    test('an empty blob, and an empty range', async () => {
      const info = await put(new Uint8Array(0));
      expect(info.sizeBytes).toBe(0);
      expect(await port.read(info.name, whole(0), info.etag)).toEqual(new Uint8Array(0));
      expect(await codeOf(port.read(info.name, whole(0), '"other"'))).toBe('LogChanged');
    });

    test('a range past the end is a RangeError', async () => {
      const info = await put();
      expect(await codeOf(port.read(info.name, { offsetBytes: 999, lengthBytes: 2 }, info.etag))).toBe(
        'RangeError',
      );
      expect(await codeOf(port.read(info.name, { offsetBytes: 1000, lengthBytes: 1 }, info.etag))).toBe(
        'RangeError',
      );
      expect(await codeOf(port.read(info.name, { offsetBytes: -1, lengthBytes: 2 }, info.etag))).toBe(
        'RangeError',
      );
    });

    test('a blob of many pieces', async () => {
      const data = patternBytes(18 * mib + 3, 2);
      const info = await put(data);
      expectBytes(await port.read(info.name, whole(data.length), info.etag), data);
      const middle = { offsetBytes: 7 * mib + 1, lengthBytes: 9 * mib };
      const read = await port.read(info.name, middle, info.etag);
      expectBytes(read, data.subarray(7 * mib + 1, 16 * mib + 1));
    });

    test('put replaces bytes and metadata, and the old version is LogChanged', async () => {
      const old = await put(patternBytes(10, 1), { kind: 'delta', sha256: 'abc' });
      await port.put(old.name, patternBytes(20, 2), { kind: 'resync' });
      const info = await port.find(old.name);
      expect(info).toMatchObject({ sizeBytes: 20, metadata: { kind: 'resync' } });
      expect(info!.metadata).not.toHaveProperty('sha256');
      expect(info!.etag).not.toBe(old.etag);
      expect(await codeOf(port.read(old.name, whole(10), old.etag))).toBe('LogChanged');
      expect(await codeOf(port.delete(old.name, old.etag))).toBe('LogChanged');
      expect(await codeOf(port.copyTo(old.name, old.etag, targetName, {}))).toBe('LogChanged');
      expect(await port.read(old.name, whole(20), info!.etag)).toEqual(patternBytes(20, 2));
      expect(await target.find(old.name)).toBeUndefined();
    });

    test('the same bytes put again are another version', async () => {
      const info = await put();
      await port.put(info.name, patternBytes(1000, 1));
      expect(await codeOf(port.read(info.name, whole(1000), info.etag))).toBe('LogChanged');
    });

    test('delete', async () => {
      const info = await put();
      await port.delete(info.name, info.etag);
      await port.delete(info.name, info.etag);
      expect(await port.find(info.name)).toBeUndefined();
      expect(await codeOf(port.read(info.name, whole(1000), info.etag))).toBe('BlobNotFound');
      expect(await codeOf(port.copyTo(info.name, info.etag, targetName, {}))).toBe('BlobNotFound');
    });

    test('copyTo adds metadata, replaces, may be repeated and leaves the source', async () => {
      const data = patternBytes(3 * mib, 3);
      const info = await put(data, { sha256: 'abc', kind: 'delta' });
      await target.put(info.name, patternBytes(5, 9), { stale: 'yes' });
      await port.copyTo(info.name, info.etag, targetName, { reason: 'LogTruncated', kind: 'resync' });
      await port.copyTo(info.name, info.etag, targetName, { reason: 'LogNotHrl', kind: 'resync' });
      const copy = (await target.find(info.name))!;
      expect(copy.metadata).toEqual({ sha256: 'abc', kind: 'resync', reason: 'LogNotHrl' });
      expectBytes(await target.read(copy.name, whole(data.length), copy.etag), data);
      expect(await port.find(info.name)).toEqual(info);
    });

    test('copyTo a container that does not exist', async () => {
      const info = await put();
      expect(await codeOf(port.copyTo(info.name, info.etag, 'nowhere', {}))).toBe('ResourceNotFound');
    });

    test('list gives the blobs with the prefix, ascending, as find gives them', async () => {
      const folder = freshName('folder');
      const names = [
        'a/000000000002/os.hrl',
        'a/000000000010/os.hrl',
        'a/000000000002/data.hrl',
        'a-b/1',
        'b/1',
      ];
      for (const name of names) await port.put(`${folder}/${name}`, patternBytes(9, 1), { kind: 'delta' });
      const listed = await collect(port.list(`${folder}/a/`));
      expect(listed.map(({ name }) => name)).toEqual(
        ['a/000000000002/data.hrl', 'a/000000000002/os.hrl', 'a/000000000010/os.hrl'].map(
          (name) => `${folder}/${name}`,
        ),
      );
      for (const info of listed) {
        expect(info).toEqual(await port.find(info.name));
        expect(await port.read(info.name, whole(9), info.etag)).toEqual(patternBytes(9, 1));
      }
      expect(await collect(port.list(`${folder}/none`))).toEqual([]);
    });

    test('lists more blobs than one answer has', async () => {
      const folder = freshName('many');
      const names = Array.from({ length: 510 }, (_, index) => `${folder}/${String(index).padStart(5, '0')}`);
      await pMap(names, (name) => port.put(name, new Uint8Array(1)), { concurrency: 8 });
      expect((await collect(port.list(`${folder}/`))).map(({ name }) => name)).toEqual(names);
    });

    test.each(['space and ü', 'percent%20', 'a+b&c=d', "quote'"])('name "%s" survives', async (text) => {
      const name = `${freshName('odd')}/${text}`;
      await port.put(name, patternBytes(10, 1));
      const info = (await port.find(name))!;
      await port.copyTo(name, info.etag, targetName, { reason: 'x' });
      expect((await collect(port.list(name))).map((blob) => blob.name)).toEqual([name]);
      expect((await target.find(name))?.sizeBytes).toBe(10);
      await port.delete(name, info.etag);
      expect(await port.find(name)).toBeUndefined();
    });

    test('names and metadata that the service cannot carry are refused', async () => {
      const name = freshName('refused');
      expect(await codeOf(port.put('', new Uint8Array(1)))).toBe('InvalidName');
      expect(await codeOf(port.put(name, new Uint8Array(1), { Reason: 'x' }))).toBe('InvalidRequest');
      expect(await codeOf(port.put(name, new Uint8Array(1), { reason: 'line\nbreak' }))).toBe(
        'InvalidRequest',
      );
      expect(await port.find(name)).toBeUndefined();
    });
  });
}
