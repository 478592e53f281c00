// Messages have every member the gRPC decoder of the real worker would fill in.
import { describe, expect, it } from 'vitest';
import { toInvocationRequest, toNullableStrings, toRpcTypedData } from '../../../local/worker/rpcDefaults.ts';

describe('toRpcTypedData', () => {
  it.each([
    [undefined, {}],
    [{}, {}],
    [{ string: '' }, { string: '', data: 'string' }],
    [{ json: 'null' }, { json: 'null', data: 'json' }],
    [{ int: 0 }, { int: 0, data: 'int' }],
    [{ bytes: Uint8Array.of(1, 2) }, { bytes: Buffer.from([1, 2]), data: 'bytes' }],
  ])('%j', (value, expected) => {
    expect(toRpcTypedData(value)).toEqual(expected);
  });

  it('fills an HTTP message and tags its body', () => {
    const rpc = toRpcTypedData({ http: { method: 'GET', body: { bytes: Uint8Array.of(1) } } });
    expect(rpc).toMatchObject({
      data: 'http',
      http: { method: 'GET', url: '', headers: {}, rawBody: null, identities: [], body: { data: 'bytes' } },
    });
    expect(toRpcTypedData({ http: {} })).toMatchObject({ http: { body: null } });
  });

  it('gives binding data its content as a Buffer', () => {
    const content = new TextEncoder().encode('{}');
    const rpc = toRpcTypedData({
      modelBindingData: { version: '1.0', source: 's', contentType: 'c', content },
    });
    expect(rpc).toEqual({
      data: 'modelBindingData',
      modelBindingData: { version: '1.0', source: 's', contentType: 'c', content: Buffer.from('{}') },
    });
  });
});

describe('toInvocationRequest', () => {
  it('has an entry for a trigger without a value, then the inputs', () => {
    const request = toInvocationRequest(
      { functionId: 'f', trigger: undefined, inputs: { client: { string: 'x' } } },
      'trigger',
      'id',
    );
    expect(request).toMatchObject({
      invocationId: 'id',
      functionId: 'f',
      inputData: [
        { name: 'trigger', data: {}, rpcData: 'data' },
        { name: 'client', data: { string: 'x', data: 'string' }, rpcData: 'data' },
      ],
      triggerMetadata: {},
      retryContext: null,
    });
  });

  it('fills the retry context', () => {
    const retryContext = { retryCount: 1, maxRetryCount: 2, exception: { message: 'm' } };
    const request = toInvocationRequest(
      { functionId: 'f', trigger: undefined, retryContext },
      'trigger',
      'id',
    );
    expect(request['retryContext']).toMatchObject({
      retryCount: 1,
      exception: { message: 'm', source: '', stackTrace: '' },
    });
  });

  it('has a trace parent of the W3C form', () => {
    const request = toInvocationRequest(
      { functionId: 'f', trigger: undefined },
      't',
      '0f8fad5b-d9cb-469f-a165-70867728950e',
    );
    expect(request['traceContext']).toMatchObject({
      traceParent: '00-0f8fad5bd9cb469fa16570867728950e-0f8fad5bd9cb469f-00',
    });
  });
});

it('toNullableStrings wraps each value', () => {
  expect(toNullableStrings(new Map([['a', '']]))).toEqual({ a: { value: '', string: 'value' } });
});
