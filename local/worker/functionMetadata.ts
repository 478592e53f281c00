// Turns a registration of the app into what the host works with, and into the metadata message the real
// worker reports. Invariant: a LoadedFunction has exactly one trigger.
import type { CoreBinding, FunctionMetadata, Registration } from './coreApi.ts';
import type { FunctionBinding, LoadedFunction, RetryOptions } from './types.ts';

/** Throws when the registration has no trigger, two of them, or an unusable retry policy. */
export function toLoadedFunction({ metadata, functionId }: Registration): LoadedFunction {
  const bindings = Object.entries(metadata.bindings).map(([name, binding]) => toBinding(name, binding));
  const triggers = bindings.filter((binding) => isTriggerType(binding.type));
  const trigger = triggers[0];
  if (trigger === undefined || triggers.length > 1) {
    throw new Error(`Function "${metadata.name}" has ${triggers.length} triggers; it must have exactly one.`);
  }
  const retry = toRetryOptions(metadata);
  return { name: metadata.name, functionId, trigger, bindings, ...(retry === undefined ? {} : { retry }) };
}

/** The function's metadata as the worker sees it in an invocation: with raw bindings, script file and directory. */
export function toRpcMetadata(
  { metadata, functionId }: Registration,
  place: { directory: string; scriptFile: string },
): FunctionMetadata {
  const bindings = Object.fromEntries(
    Object.entries(metadata.bindings).map(([name, binding]) => [name, withStringProperties(binding)]),
  );
  const rawBindings = Object.entries(bindings).map(([name, binding]) => JSON.stringify({ ...binding, name }));
  return { ...metadata, ...place, functionId, bindings, rawBindings, isProxy: false, entryPoint: '' };
}

export function isTriggerType(type: string): boolean {
  return /trigger$/i.test(type);
}

/** True for a binding that asked for an SDK client instead of bytes. */
export function supportsDeferredBinding(binding: FunctionBinding): boolean {
  const properties = binding['properties'] as Record<string, unknown> | undefined;
  return String(properties?.['supportsDeferredBinding']).toLowerCase() === 'true';
}

function toBinding(name: string, binding: CoreBinding): FunctionBinding {
  return { ...binding, name, direction: binding.direction === 'out' ? 'out' : 'in' };
}

function withStringProperties(binding: CoreBinding): CoreBinding {
  const properties = Object.entries(binding.properties ?? {}).map(([key, value]) => [
    key,
    String(value as unknown),
  ]);
  return { ...binding, properties: Object.fromEntries(properties) as Record<string, string> };
}

function toRetryOptions({ name, retryOptions }: FunctionMetadata): RetryOptions | undefined {
  if (retryOptions === undefined) return undefined;
  const strategy = retryOptions['retryStrategy'] ?? retryOptions['strategy'];
  if (strategy !== 'fixedDelay' && strategy !== 'exponentialBackoff') {
    throw new Error(`Function "${name}" has the unknown retry strategy "${String(strategy)}".`);
  }
  const isFixed = strategy === 'fixedDelay';
  const delayMs = toMs(retryOptions[isFixed ? 'delayInterval' : 'minimumInterval']);
  const maximumDelayMs = isFixed ? delayMs : toMs(retryOptions['maximumInterval']);
  return { strategy, maxRetryCount: Number(retryOptions['maxRetryCount'] ?? 0), delayMs, maximumDelayMs };
}

function toMs(duration: unknown): number {
  const { seconds = 0, nanos = 0 } = (duration ?? {}) as { seconds?: number; nanos?: number };
  return seconds * 1000 + nanos / 1e6;
}
