// A service that is busy, broken, slow or gone: which requests are sent again, which are not, and what the caller reads.
import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isLifeboatError } from '../../lib/errors.ts';
import { connect } from '../../lib/storage/azure/connection.ts';
import { azureStorage, type AzureStorage } from '../../lib/storage/azure/index.ts';
import { conditionDeletes } from '../../lib/storage/azure/deleteConditions.ts';
import { codeOf, collect, patternBytes } from './outcomes.ts';
import {
  answer,
  reset,
  silence,
  startScriptedService,
  type Answer,
  type ScriptedService,
} from './scriptedService.ts';

let service: ScriptedService;
let storage: AzureStorage;
/** Gives up early, for the tests in which nothing answers. */
let impatient: AzureStorage;

beforeAll(async () => {
  service = await startScriptedService();
  const retry = { maxTries: 3, delayMs: 5, operationTimeoutMs: 20_000 };
  const { connectionString } = service;
  storage = azureStorage({ connectionString, retry });
  impatient = azureStorage({ connectionString, retry: { ...retry, operationTimeoutMs: 300 } });
});
afterAll(() => service.stop());

const page = patternBytes(512, 1);
const properties = answer(200, undefined, {
  'content-length': '4096',
  'x-ms-blob-type': 'PageBlob',
  'x-ms-blob-sequence-number': '7',
  'x-ms-lease-status': 'locked',
  etag: '"1"',
});
const busy = answer(503, 'ServerBusy');
const timedOut = answer(500, 'OperationTimedOut');
const written = answer(201, undefined, { etag: '"2"', 'x-ms-blob-sequence-number': '7' });
const methods = () => service.received.map(({ method }) => method);

describe('requests that may be repeated', () => {
  test.each<[string, Answer]>([
    ['503', busy],
    ['500', timedOut],
    ['a reset', reset],
  ])('%s twice, then the answer', async (_what, failure) => {
    service.script(failure, failure, properties);
    expect(await storage.replicas.find('item/os')).toEqual({
      sizeBytes: 4096,
      sequenceNumber: 7,
      isLeased: true,
    });
    expect(methods()).toEqual(['HEAD', 'HEAD', 'HEAD']);
  });

  test.each<[string, Answer]>([
    ['503', busy],
    ['500', timedOut],
    ['a reset', reset],
  ])('%s for ever is StorageUnavailable after the last attempt', async (_what, failure) => {
    service.script(failure);
    expect(await codeOf(storage.replicas.find('item/os'))).toBe('StorageUnavailable');
    expect(service.received).toHaveLength(3);
  });

  test('a service that never answers is StorageUnavailable at the deadline', async () => {
    service.script(silence);
    expect(await codeOf(impatient.deltas.find('item/log'))).toBe('StorageUnavailable');
    expect(await codeOf(impatient.items.find('p', 'k'))).toBe('StorageUnavailable');
    expect(await codeOf(collect(impatient.deltas.list('item/')))).toBe('StorageUnavailable');
    expect(await codeOf(collect(impatient.items.list('p')))).toBe('StorageUnavailable');
    expect(await codeOf(impatient.locks.tryAcquire('lock'))).toBe('StorageUnavailable');
  });

  test('a body that breaks off is continued where it broke', async () => {
    const bytes = patternBytes(4096, 3);
    const part =
      (breakAt: number | undefined): Answer =>
      (response, { headers }) => {
        const [from = 0, to = 0] = (String(headers['x-ms-range'] ?? headers.range).match(/\d+/g) ?? []).map(
          Number,
        );
        const length = String(to - from + 1);
        const contentRange = `bytes ${from}-${to}/4096`;
        response.writeHead(206, { 'content-length': length, 'content-range': contentRange, etag: '"1"' });
        if (breakAt === undefined) response.end(bytes.subarray(from, to + 1));
        else response.write(bytes.subarray(from, breakAt), () => response.destroy());
      };
    service.script(part(1000), part(2500), part(undefined));
    expect(await storage.deltas.read('item/log', { offsetBytes: 0, lengthBytes: 4096 }, '"1"')).toEqual(
      bytes,
    );
    service.script(part(1000), answer(412, 'ConditionNotMet'), properties);
    expect(await codeOf(storage.deltas.read('item/log', { offsetBytes: 0, lengthBytes: 4096 }, '"1"'))).toBe(
      'LogChanged',
    );
    service.script(part(1000), part(1001), part(1002));
    expect(await codeOf(storage.deltas.read('item/log', { offsetBytes: 0, lengthBytes: 4096 }, '"1"'))).toBe(
      'StorageUnavailable',
    );
  });

  test('a body that stalls is StorageUnavailable', async () => {
    const stalling: Answer = (response) => {
      response.writeHead(206, {
        'content-length': '4096',
        'content-range': 'bytes 0-4095/4096',
        etag: '"1"',
      });
      response.write(patternBytes(100, 1));
    };
    service.script(stalling);
    expect(
      await codeOf(impatient.deltas.read('item/log', { offsetBytes: 0, lengthBytes: 4096 }, '"1"')),
    ).toBe('StorageUnavailable');
  });
});

describe('snapshots', () => {
  const taken = (second: number) =>
    answer(201, undefined, { 'x-ms-snapshot': `2026-01-01T00:00:0${second}.0000000Z` });

  test('an id that the service gave before is not given out again', async () => {
    service.script(taken(1), taken(1), taken(1), taken(2));
    const ids = [
      await storage.replicas.snapshot('item/os', {}),
      await storage.replicas.snapshot('item/os', {}),
    ];
    expect(ids).toEqual(['2026-01-01T00:00:01.0000000Z', '2026-01-01T00:00:02.0000000Z']);
    service.script(taken(2));
    expect(await codeOf(storage.replicas.snapshot('item/os', {}))).toBe('StorageUnavailable');
    service.script(taken(3));
    expect(await storage.replicas.snapshot('item/os', {})).toBe('2026-01-01T00:00:03.0000000Z');
  });
});

describe('page writes and transactions', () => {
  const write = () =>
    storage.replicas.writePages('item/os', 0, page, { leaseId: crypto.randomUUID(), sequenceNumber: 7 });
  const transact = () => storage.items.transact('p', [{ kind: 'insert', key: 'k', value: 1 }]);
  beforeAll(async () => {
    service.script(properties);
    await storage.replicas.find('item/os');
  });

  test.each<[string, Answer]>([
    ['500', timedOut],
    ['503 without the code of a refusal', answer(503)],
    ['a reset', reset],
  ])('%s leaves the outcome unknown: sent once, StorageUnavailable', async (_what, failure) => {
    for (const operation of [write, transact, () => storage.replicas.create('item/new', 512)]) {
      service.script(failure, written);
      expect(await codeOf(operation())).toBe('StorageUnavailable');
      expect(service.received).toHaveLength(1);
    }
  });

  test('so does silence until the deadline', async () => {
    for (const operation of [
      () => impatient.replicas.create('item/new', 512),
      () => impatient.items.transact('p', [{ kind: 'put', key: 'k', value: 1 }]),
    ]) {
      service.script(silence);
      expect(await codeOf(operation())).toBe('StorageUnavailable');
      expect(service.received).toHaveLength(1);
    }
  });

  test('ServerBusy is a refusal: sent again', async () => {
    service.script(busy, busy, written);
    await write();
    expect(service.received).toHaveLength(3);
    for (const { headers } of service.received) expect(headers['x-ms-if-sequence-number-eq']).toBe('7');
    service.script(busy);
    expect(await codeOf(write())).toBe('StorageUnavailable');
    expect(service.received).toHaveLength(3);
  });

  const changeset = (...parts: string[]): Answer =>
    answer(
      202,
      undefined,
      { 'content-type': 'multipart/mixed; boundary=batchresponse_1' },
      [
        '--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n\r\n',
        ...parts.map(
          (part) => `--changesetresponse_1\r\nContent-Type: application/http\r\n\r\n${part}\r\n\r\n`,
        ),
        '--changesetresponse_1--\r\n--batchresponse_1--\r\n',
      ].join(''),
    );

  test('the answers inside the answer to a transaction count, with a body or without', async () => {
    service.script(changeset('HTTP/1.1 204 No Content\r\nETag: W/"1"'));
    expect(await codeOf(transact())).toBe('ok');
    service.script(changeset('HTTP/1.1 412 Precondition Failed'));
    expect(await codeOf(transact())).toBe('PreconditionFailed');
    service.script(changeset('HTTP/1.1 404 Not Found'));
    expect(await codeOf(transact())).toBe('PreconditionFailed');
    service.script(
      changeset(
        'HTTP/1.1 409 Conflict\r\n\r\n{"odata.error":{"code":"EntityAlreadyExists","message":{"value":"x"}}}',
      ),
    );
    expect(await codeOf(transact())).toBe('PreconditionFailed');
    service.script(changeset('HTTP/1.1 500 Oops'));
    expect(await codeOf(transact())).toBe('StorageUnavailable');
    service.script(changeset());
    expect(await codeOf(transact())).toBe('StorageUnavailable');
    service.script(
      answer(404, 'TableNotFound', {}, '{"odata.error":{"code":"TableNotFound","message":{"value":"x"}}}'),
    );
    expect(await codeOf(transact())).toBe('ResourceNotFound');
  });
});

describe('what the caller reads', () => {
  test.each<[number, string | undefined, string]>([
    [401, 'NoAuthenticationInformation', 'StorageDenied'],
    [403, 'AuthorizationPermissionMismatch', 'StorageDenied'],
    [403, undefined, 'StorageDenied'],
    [404, 'ContainerNotFound', 'ResourceNotFound'],
    [409, 'ContainerBeingDeleted', 'StorageUnavailable'],
    [409, 'PendingCopyOperation', 'StorageUnavailable'],
    [409, 'InvalidBlobType', 'InvalidRequest'],
    [429, undefined, 'StorageUnavailable'],
    [400, 'InvalidHeaderValue', 'InvalidRequest'],
  ])('HTTP %d %s is %s', async (status, code, expected) => {
    service.script(answer(status, code));
    expect(await codeOf(storage.replicas.find('item/os'))).toBe(expected);
    expect(await codeOf(storage.deltas.put('item/log', page))).toBe(expected);
  });

  test('the text names the blob and the service’s code, and no part of the error has the signature', async () => {
    const operations: (() => Promise<unknown>)[] = [
      () => storage.replicas.find('item/os'),
      () => storage.replicas.snapshot('item/os', {}),
      () => storage.deltas.put('item/log', page),
      () => storage.deltas.copyTo('item/log', '"1"', 'quarantine', {}),
      () => collect(storage.deltas.list('item/')),
      () => storage.items.find('p', 'k'),
      () => storage.items.transact('p', [{ kind: 'insert', key: 'k', value: 1 }]),
      () => storage.locks.tryAcquire('lock'),
      () => storage.ensureContainers(),
    ];
    const echo: Answer = (response, { url }) =>
      answer(
        403,
        'AuthorizationFailure',
        {},
        `<Error><Code>AuthorizationFailure</Code><Message>no ${url}?${url}</Message></Error>`,
      )(response, { url, method: '', headers: {} });
    for (const failure of [
      echo,
      reset,
      answer(500),
      answer(302, undefined, { location: '/x' }),
      answer(200, undefined, {}, 'not xml'),
    ]) {
      for (const operation of operations) {
        service.script(failure);
        const error: unknown = await operation().then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        const everything = `${inspect(error, { depth: 20, showHidden: true })} ${JSON.stringify(error)}`;
        expect(everything).not.toMatch(/sig=|SECRET/);
        if (error !== undefined) expect(isLifeboatError(error)).toBe(true);
      }
    }
    service.script(answer(403, 'AuthorizationFailure', { 'x-ms-request-id': 'abc-123' }));
    await expect(storage.replicas.find('item/os')).rejects.toThrow(
      /replicas\/item\/os.*AuthorizationFailure.*403.*abc-123/,
    );
  });

  test.each(['', 'nonsense', 'AccountName=a;AccountKey=SECRET', 'BlobEndpoint=x'])(
    'connection string "%s" is refused without a word of it',
    (connectionString) => {
      const make = () => azureStorage({ connectionString });
      expect(make).toThrow(/storage settings cannot be used/);
      expect(make).not.toThrow(/SECRET/);
    },
  );

  test('a port nobody listens on is StorageUnavailable for every kind of operation', async () => {
    const gone = await startScriptedService();
    await gone.stop();
    const retry = { maxTries: 2, delayMs: 5, operationTimeoutMs: 2000 };
    const nowhere = azureStorage({ connectionString: gone.connectionString, retry });
    expect(await codeOf(nowhere.replicas.create('item/os', 512))).toBe('StorageUnavailable');
    expect(await codeOf(nowhere.items.find('p', 'k'))).toBe('StorageUnavailable');
    expect(await codeOf(nowhere.items.transact('p', [{ kind: 'put', key: 'k', value: 1 }]))).toBe(
      'StorageUnavailable',
    );
  });
});

describe('MD5 of page writes', () => {
  const retry = { maxTries: 3, delayMs: 1, operationTimeoutMs: 20_000 };
  const write = (checkWrites?: boolean) =>
    azureStorage({
      connectionString: service.connectionString,
      retry,
      ...(checkWrites === undefined ? {} : { checkWrites }),
    }).replicas.writePages('item/os', 0, page);

  test('is sent when wanted, and not to an emulator, which would not look at it', async () => {
    service.script(properties, written);
    await write(true);
    const expected = createHash('md5').update(page).digest('base64');
    expect(service.received[1]?.headers['content-md5']).toBe(expected);
    service.script(properties, written);
    await write();
    expect(service.received[1]?.headers['content-md5']).toBeUndefined();
  });

  test('is the default for an account of the service', () => {
    const credential = {
      getToken: async () => ({ token: 'unused', expiresOnTimestamp: Number.MAX_SAFE_INTEGER }),
    };
    expect(connect({ accountName: 'account', credential }).checkWrites).toBe(true);
    expect(connect({ accountName: 'account', credential, checkWrites: false }).checkWrites).toBe(false);
  });

  test('bytes that changed on the way are sent again: the service surely did not write them', async () => {
    const mismatch = answer(400, 'Md5Mismatch');
    service.script(properties, mismatch, mismatch, written);
    await write(true);
    expect(methods()).toEqual(['HEAD', 'PUT', 'PUT', 'PUT']);
    service.script(properties, mismatch);
    expect(await codeOf(write(true))).toBe('StorageUnavailable');
    expect(methods()).toEqual(['HEAD', 'PUT', 'PUT', 'PUT']);
  });
});

describe('conditions of deletions in a transaction', () => {
  const deletion = (key: string) =>
    `DELETE http://x/t(PartitionKey='p',RowKey='${key}') HTTP/1.1\r\nAccept: a\r\nIf-Match: *\r\n\r\n`;

  test('each deletion gets the ETag of its row', () => {
    const body = `${deletion('a')}--part\r\n${deletion("it''s%20b")}`;
    const etags = new Map([
      ["it's b", 'W/"$& 2"'],
      ['a', 'W/"1"'],
    ]);
    const expected = body
      .replace('If-Match: *', () => 'If-Match: W/"1"')
      .replace('If-Match: *', () => 'If-Match: W/"$& 2"');
    expect(conditionDeletes(body, etags)).toBe(expected);
  });

  test.each([
    ['a deletion without ETag', deletion('a') + deletion('b')],
    ['a missing deletion', ''],
    ['one row twice', deletion('a') + deletion('a')],
    ['no header to set', deletion('a').replace('If-Match: *\r\n', '')],
  ])('%s is not sent', (_what, body) => {
    expect(() => conditionDeletes(body, new Map([['a', 'W/"1"']]))).toThrow(/not sent/);
  });
});
