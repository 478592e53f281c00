// An app of CommonJS modules: the life-cycle hooks, and what the core module refuses once the app has started.
import { expect, it } from 'vitest';
import { commonJsApp, startHost } from './startHost.ts';

it('runs, starts and terminates like an ESM app', async () => {
  const host = await startHost({ app: commonJsApp });
  expect(await (await fetch(`${host.url}/api/about`)).json()).toEqual({
    startedIn: commonJsApp,
    late: 'A function can only be registered during app startup.',
    model: '@azure/functions',
    retryContext: null,
    traceParent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/) as unknown,
  });
  expect(await host.stop()).toBe(0);
  expect(host.output()).toContain('terminated in good order');
});
