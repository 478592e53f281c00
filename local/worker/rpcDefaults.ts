// Fills RPC messages the way the gRPC decoder of the real worker does: unset strings are '', absent messages
// null, and every oneof carries the name of the member that is set. A bare object would hide bugs of the app
// that only show in Azure.
import type { Invocation, RetryContext, TypedData } from './types.ts';

/** A TypedData message as it leaves the decoder: `data` names the member that is set. */
export function toRpcTypedData(value: TypedData | undefined): Record<string, unknown> {
  const entries = Object.entries(value ?? {}).filter(([, member]) => member !== undefined);
  const set = entries[0];
  if (set === undefined) return {};
  const [kind, member] = set;
  if (kind === 'bytes' || kind === 'stream') return { [kind]: toBuffer(member as Uint8Array), data: kind };
  if (kind === 'http') return { http: toRpcHttp(member as Record<string, unknown>), data: kind };
  if (kind === 'modelBindingData') {
    const data = { version: '', source: '', contentType: '', ...(member as { content: Uint8Array }) };
    return { modelBindingData: { ...data, content: toBuffer(data.content) }, data: kind };
  }
  return { [kind]: member, data: kind };
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function toRpcHttp(http: Record<string, unknown>): Record<string, unknown> {
  const body = http['body'] as TypedData | undefined;
  return {
    method: '',
    url: '',
    headers: {},
    params: {},
    statusCode: '',
    query: {},
    enableContentNegotiation: false,
    rawBody: null,
    identities: [],
    cookies: [],
    nullableHeaders: {},
    nullableParams: {},
    nullableQuery: {},
    ...http,
    body: body === undefined ? null : toRpcTypedData(body),
  };
}

/** `{a: 'b'}` as the map of nullable strings that HTTP messages use. */
export function toNullableStrings(values: Iterable<readonly [string, string]>): Record<string, unknown> {
  const map: Record<string, unknown> = {};
  for (const [name, value] of values) map[name] = { value, string: 'value' };
  return map;
}

function toRpcRetryContext(context: RetryContext | undefined): unknown {
  if (context === undefined) return null;
  const { retryCount, maxRetryCount, exception } = context;
  const defaults = { source: '', stackTrace: '', message: '', isUserException: false, type: '' };
  return {
    retryCount,
    maxRetryCount,
    exception: exception === undefined ? null : { ...defaults, ...exception },
  };
}

function mapTypedData(values: Record<string, TypedData> | undefined): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values ?? {}).map(([name, value]) => [name, toRpcTypedData(value)]),
  );
}

/** The InvocationRequest message for a call; the trigger's entry comes first and is there even without a value. */
export function toInvocationRequest(
  invocation: Invocation,
  triggerName: string,
  invocationId: string,
): Record<string, unknown> {
  const inputs = Object.entries(invocation.inputs ?? {});
  const bind = (name: string, value: TypedData | undefined): unknown => ({
    name,
    data: toRpcTypedData(value),
    rpcData: 'data',
  });
  return {
    invocationId,
    functionId: invocation.functionId,
    inputData: [bind(triggerName, invocation.trigger), ...inputs.map(([name, value]) => bind(name, value))],
    triggerMetadata: mapTypedData(invocation.triggerMetadata),
    traceContext: {
      traceParent: newTraceParent(invocationId, invocation.traceParent),
      traceState: '',
      attributes: {},
    },
    retryContext: toRpcRetryContext(invocation.retryContext),
  };
}

const givenTraceParent = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/;

/**
 * The invocation's span as a W3C trace parent, made of the invocation id, so that a trace can be found from a log line; in the
 * caller's trace when there is a valid one.
 */
function newTraceParent(invocationId: string, caller = ''): string {
  const hex = invocationId.replaceAll(/[^0-9a-f]/gi, '').toLowerCase();
  const own = hex.padEnd(32, '0').slice(0, 32);
  const [, traceId = own, flags = '00'] = givenTraceParent.exec(caller) ?? [];
  return `00-${traceId}-${own.slice(0, 16)}-${flags}`;
}
