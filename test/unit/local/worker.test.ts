// The parts of the worker that need no app: entry-point globs, metadata, hooks, retry delays, process identity, log.
import { describe, expect, it } from 'vitest';
import { LogWriter } from '../../../local/logWriter.ts';
import { identityOf, isRunning } from '../../../local/process/processIdentity.ts';
import { CoreRegistry, Disposable, type Registration } from '../../../local/worker/coreApi.ts';
import { toPathPattern } from '../../../local/worker/entryPoints.ts';
import {
  supportsDeferredBinding,
  toLoadedFunction,
  toRpcMetadata,
} from '../../../local/worker/functionMetadata.ts';
import { delayAfter } from '../../../local/worker/retryPolicy.ts';

describe('toPathPattern', () => {
  it.each([
    ['dist/index.mjs', 'dist/index.mjs', true],
    ['./dist/index.mjs', 'dist/index.mjs', true],
    ['dist/index.mjs', 'dist/indexxmjs', false],
    ['dist/*.js', 'dist/a.js', true],
    ['dist/*.js', 'dist/a/b.js', false],
    ['dist/**/*.js', 'dist/a/b/c.js', true],
    ['dist/**/*.js', 'dist/c.js', true],
    ['dist/src/{index.js,functions/*.js}', 'dist/src/index.js', true],
    ['dist/src/{index.js,functions/*.js}', 'dist/src/functions/a.js', true],
    ['dist/src/{index.js,functions/*.js}', 'dist/src/other.js', false],
    ['dist/?.js', 'dist/ab.js', false],
  ])('%s on %s', (glob, path, expected) => {
    expect(toPathPattern(glob).test(path)).toBe(expected);
  });
});

function registration(
  bindings: Registration['metadata']['bindings'],
  retryOptions?: Record<string, unknown>,
): Registration {
  const metadata = { name: 'f', bindings, ...(retryOptions === undefined ? {} : { retryOptions }) };
  return { metadata, functionId: 'f', callback: () => undefined };
}

const timer = { type: 'timerTrigger', direction: 'in', schedule: '* * * * *' };

describe('toLoadedFunction', () => {
  it('finds the trigger and keeps options verbatim', () => {
    const loaded = toLoadedFunction(registration({ t: timer, $return: { type: 'http', direction: 'out' } }));
    expect(loaded.trigger).toEqual({ ...timer, name: 't' });
    expect(loaded.bindings.map(({ name, direction }) => [name, direction])).toEqual([
      ['t', 'in'],
      ['$return', 'out'],
    ]);
  });

  it('refuses none and two triggers, and unknown retry strategies', () => {
    expect(() => toLoadedFunction(registration({}))).toThrow('has 0 triggers');
    expect(() => toLoadedFunction(registration({ a: timer, b: timer }))).toThrow('has 2 triggers');
    expect(() => toLoadedFunction(registration({ a: timer }, { retryStrategy: 'never' }))).toThrow('"never"');
  });

  it('reads retry policies', () => {
    const fixed = { retryStrategy: 'fixedDelay', maxRetryCount: 3, delayInterval: { seconds: 2 } };
    expect(toLoadedFunction(registration({ a: timer }, fixed)).retry).toEqual({
      strategy: 'fixedDelay',
      maxRetryCount: 3,
      delayMs: 2000,
      maximumDelayMs: 2000,
    });
    const interval = { minimumInterval: { seconds: 1 }, maximumInterval: { seconds: 5 } };
    const exponential = { retryStrategy: 'exponentialBackoff', maxRetryCount: -1, ...interval };
    const { retry } = toLoadedFunction(registration({ a: timer }, exponential));
    const delays = (random: number): unknown[] =>
      [0, 1, 2, 3, 4].map((attempt) => retry && delayAfter(retry, attempt, () => random));
    expect(delays(0.5)).toEqual([1000, 2000, 3000, 5000, 5000]);
    expect(delays(0)).toEqual([1000, 1800, 2600, 4200, 5000]);
    expect(delays(1)).toEqual([1000, 2200, 3400, 5000, 5000]);
  });

  it('tells deferred bindings by a property, whatever its case', () => {
    const binding = { name: 'b', type: 'blobTrigger', direction: 'in' as const };
    expect(supportsDeferredBinding({ ...binding, properties: { supportsDeferredBinding: 'True' } })).toBe(
      true,
    );
    expect(supportsDeferredBinding({ ...binding, properties: { supportsDeferredBinding: 'false' } })).toBe(
      false,
    );
    expect(supportsDeferredBinding(binding)).toBe(false);
  });
});

it('toRpcMetadata adds what the worker reports to the host', () => {
  const metadata = toRpcMetadata(registration({ t: timer }), { directory: '/app', scriptFile: 'index.mjs' });
  expect(metadata).toMatchObject({ functionId: 'f', directory: '/app', scriptFile: 'index.mjs' });
  expect((metadata['rawBindings'] as string[]).map((text) => JSON.parse(text) as unknown)).toEqual([
    { ...timer, properties: {}, name: 't' },
  ]);
});

describe('CoreRegistry', () => {
  interface CoreModule {
    registerFunction(metadata: unknown, callback: () => unknown): Disposable;
    registerHook(name: string, hook: (context: Record<string, unknown>) => void): Disposable;
    log(level: string, category: string, message: string): void;
  }
  const lines: string[] = [];
  const create = (): { registry: CoreRegistry; core: CoreModule } => {
    const registry = new CoreRegistry((level, category, message) =>
      lines.push(`${level} ${category} ${message}`),
    );
    return { registry, core: registry.toModule({ worker: '1', host: '2' }) as unknown as CoreModule };
  };

  it('refuses duplicates, late registrations and unknown hooks', () => {
    const { registry, core } = create();
    core.registerFunction({ name: 'f', bindings: {} }, () => undefined);
    expect(() => core.registerFunction({ name: 'f', bindings: {} }, () => undefined)).toThrow(
      'already been registered',
    );
    expect(() => core.registerHook('other', () => undefined)).toThrow(
      expect.objectContaining({ isAzureFunctionsSystemError: true }) as Error,
    );
    registry.lock();
    expect(() => core.registerFunction({ name: 'g', bindings: {} }, () => undefined)).toThrow(
      'during app startup',
    );
  });

  it('takes a disposed registration back', () => {
    const { registry, core } = create();
    core.registerFunction({ name: 'f', bindings: {} }, () => undefined).dispose();
    expect(registry.registrations.size).toBe(0);
  });

  it('lets log hooks rewrite and drop lines', () => {
    const { core } = create();
    lines.length = 0;
    const hook = core.registerHook('log', (line) => {
      if (line['message'] === 'drop') line['level'] = 'none';
      line['message'] = String(line['message']).toUpperCase();
    });
    core.log('warning', 'system', 'keep');
    core.log('warning', 'system', 'drop');
    hook.dispose();
    core.log('unknown level', 'system', 'as is');
    expect(lines).toEqual(['warning Worker KEEP', 'information Worker as is']);
  });

  it('Disposable.from disposes all its parts once', () => {
    let count = 0;
    const all = Disposable.from(new Disposable(() => count++), { dispose: () => count++ });
    all.dispose();
    all.dispose();
    expect(count).toBe(2);
  });
});

describe('processIdentity', () => {
  it('knows this process, and not an earlier one with its pid', () => {
    const own = identityOf();
    expect(isRunning(own)).toBe(true);
    if (own.startTime !== undefined)
      expect(isRunning({ ...own, startTime: `${own.startTime}0` })).toBe(false);
    expect(isRunning({ pid: 2 ** 22 + 1 })).toBe(false);
  });
});

describe('LogWriter', () => {
  it('filters by the longest matching category', () => {
    const lines: string[] = [];
    const writer = new LogWriter({ isJson: true, write: (line) => lines.push(line) });
    writer.setLevels({ default: 'Warning', Host: 'Debug', 'Host.Blobs': 'None' });
    writer.log('information', 'Function.f', 'dropped');
    writer.log('warning', 'Function.f', 'kept 1');
    writer.log('debug', 'Host.Timer', 'kept 2');
    writer.log('critical', 'Host.Blobs', 'dropped');
    writer.log('debug', 'Hosting', 'dropped');
    expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual([
      'kept 1',
      'kept 2',
    ]);
  });
});
