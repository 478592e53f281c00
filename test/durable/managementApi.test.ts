// The management API by its status codes and bodies, through plain HTTP and through the SDK's own client.
import type { InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { activityRuns, closeGate, DurableTestBed, type Status } from './durableTestBed.ts';

let bed: DurableTestBed;
beforeAll(async () => {
  bed = await DurableTestBed.create();
  await bed.startHost();
});
afterAll(() => bed.close());

const codeOf = async (response: Promise<Response>) => (await response).status;

/** Starts an instance that waits for an event `item`. */
async function startWaiting(instanceId?: string): Promise<string> {
  const id = await bed.start('collect', { count: 1 }, instanceId);
  await bed.until(id, ({ runtimeStatus }) => runtimeStatus === 'Running');
  return id;
}

describe('starting', () => {
  test('answers 202 with links that work', async () => {
    const response = await bed.post('orchestrators/collect/links', { count: 1 });
    const links = (await response.json()) as Record<string, string>;
    expect(response.status).toBe(202);
    expect(response.headers.get('location')).toBe(links['statusQueryGetUri']);
    expect(links['id']).toBe('links');
    const event = await fetch(links['sendEventPostUri']!.replace('{eventName}', 'item'), {
      method: 'POST',
      body: '"by link"',
      headers: { 'content-type': 'application/json' },
    });
    expect(event.status).toBe(202);
    await bed.finish('links');
    expect(((await (await fetch(links['statusQueryGetUri']!)).json()) as Status).output).toEqual(['by link']);
  });

  test('an unknown function, a bad id and a bad body are 400 and say why', async () => {
    const unknown = await bed.post('orchestrators/nowhere');
    expect(unknown.status).toBe(400);
    expect(await unknown.text()).toMatch(/'nowhere' doesn't exist.*The app registers: .*sequence/);
    for (const id of [
      '@entity',
      encodeURIComponent('a/b'),
      encodeURIComponent('a#b'),
      'x'.repeat(257),
      '%01',
    ]) {
      expect(await codeOf(bed.post(`orchestrators/sequence/${id}`, { keys: [] })), id).toBe(400);
    }
    expect(await codeOf(bed.request('orchestrators/sequence', { method: 'POST', body: '{' }))).toBe(400);
  });

  test('an id in use is 409, a finished one is started again', async () => {
    const id = await startWaiting('single');
    expect(await codeOf(bed.post(`orchestrators/collect/${id}`, { count: 1 }))).toBe(409);
    await bed.post(`instances/${id}/raiseEvent/item`, 'first');
    await bed.finish(id);
    await startWaiting(id);
    await bed.post(`instances/${id}/raiseEvent/item`, 'second');
    expect((await bed.finish(id)).output).toEqual(['second']);
  });

  test('many starts of one id at the same time start one instance', async () => {
    const codes = await Promise.all(
      Array.from({ length: 8 }, () => codeOf(bed.post('orchestrators/collect/race', { count: 1 }))),
    );
    expect(codes.sort()).toEqual([202, 409, 409, 409, 409, 409, 409, 409]);
  });

  test('unusual ids are kept as they are', async () => {
    for (const id of ["it's", 'a:b@c', 'späße 日本', '100%', 'a+b&c=d', 'x'.repeat(256)]) {
      await bed.start('sequence', { keys: [id] }, id);
      expect(await bed.finish(id)).toMatchObject({ instanceId: id, output: [id] });
    }
  });

  test('start and wait answers with the output, or 202 when it takes too long', async () => {
    const quick = await bed.post('orchestrators/sequence?timeout=20&pollingInterval=1', { keys: ['now'] });
    expect([quick.status, await quick.json()]).toEqual([200, ['now']]);
    expect(await codeOf(bed.post('orchestrators/collect?timeout=0.05', { count: 1 }))).toBe(202);
    expect(await codeOf(bed.post('orchestrators/failing?timeout=20'))).toBe(500);
  });
});

describe('status', () => {
  test('is 202 while running, 200 when finished, 404 when unknown', async () => {
    const id = await startWaiting();
    const running = await bed.request(`instances/${id}`);
    expect([running.status, running.headers.get('retry-after')]).toEqual([202, '5']);
    await bed.post(`instances/${id}/raiseEvent/item`, 1);
    const { createdTime, output } = await bed.finish(id);
    expect(createdTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(output).toEqual([1]);
    expect(await codeOf(bed.request(`instances/${id}`))).toBe(200);
    expect(await codeOf(bed.request('instances/none'))).toBe(404);
  });

  test('a failure is 500 only on request', async () => {
    const { instanceId } = await bed.run('failing');
    expect(await codeOf(bed.request(`instances/${instanceId}`))).toBe(200);
    expect(await codeOf(bed.request(`instances/${instanceId}?returnInternalServerErrorOnFailure=true`))).toBe(
      500,
    );
  });

  test('shows input and history as asked', async () => {
    const { instanceId } = await bed.run('sequence', { keys: ['shown'] });
    expect((await bed.status(instanceId)).input).toEqual({ keys: ['shown'] });
    expect((await bed.status(instanceId, 'showInput=false')).input).toBeNull();
    expect((await bed.status(instanceId)).historyEvents).toBeUndefined();
    const events = (await bed.status(instanceId, 'showHistory=true&showHistoryOutput=true')).historyEvents;
    expect(events?.map(({ EventType, FunctionName, Result }) => [EventType, FunctionName, Result])).toEqual([
      ['ExecutionStarted', 'sequence', undefined],
      ['TaskCompleted', 'echo', 'shown'],
      ['ExecutionCompleted', undefined, ['shown']],
    ]);
    const bare = (await bed.status(instanceId, 'showHistory=true')).historyEvents;
    expect(JSON.stringify(bare)).not.toContain('shown"]');
    expect(await codeOf(bed.request(`instances/${instanceId}?showHistory=maybe`))).toBe(400);
  });
});

describe('suspend, resume, terminate', () => {
  test('a suspended instance keeps its events and does not move until it is resumed', async () => {
    const id = await startWaiting();
    expect(await codeOf(bed.post(`instances/${id}/suspend?reason=lunch`))).toBe(202);
    expect(await codeOf(bed.post(`instances/${id}/suspend?reason=again`))).toBe(202);
    await bed.post(`instances/${id}/raiseEvent/item`, 'while suspended');
    expect((await bed.status(id)).runtimeStatus).toBe('Suspended');
    expect(await codeOf(bed.post(`instances/${id}/resume`))).toBe(202);
    expect((await bed.finish(id)).output).toEqual(['while suspended']);
    const types = (await bed.status(id, 'showHistory=true')).historyEvents?.map(
      (event) => event['EventType'],
    );
    expect(types).toEqual([
      'ExecutionStarted',
      'ExecutionSuspended',
      'ExecutionResumed',
      'EventRaised',
      'ExecutionCompleted',
    ]);
  });

  test('a terminated instance has the reason as its output and takes nothing any more', async () => {
    const id = await startWaiting();
    expect(await codeOf(bed.post(`instances/${id}/terminate?reason=enough`))).toBe(202);
    expect(await bed.status(id)).toMatchObject({ runtimeStatus: 'Terminated', output: 'enough' });
    for (const verb of ['terminate', 'suspend', 'resume', 'raiseEvent/item']) {
      expect(await codeOf(bed.post(`instances/${id}/${verb}`)), verb).toBe(410);
      expect(await codeOf(bed.post(`instances/none/${verb}`)), verb).toBe(404);
    }
  });

  test('a terminated child fails its parent’s task, activities that wait are dropped', async () => {
    await bed.host?.stop();
    await bed.startHost({ maxConcurrentActivities: 1 });
    const open = closeGate('block');
    const blocker = await bed.start('gatedOnce', { key: 'block' });
    const parent = await bed.start('parent', { keys: ['dropped'], childId: 'doomed' });
    await bed.until(parent, ({ runtimeStatus }) => runtimeStatus === 'Running');
    while ((await codeOf(bed.post('instances/doomed/terminate?reason=why'))) === 404);
    const { runtimeStatus, output } = await bed.finish(parent);
    open();
    await bed.finish(blocker);
    expect([runtimeStatus, output]).toEqual(['Failed', expect.stringContaining('why')]);
    expect(activityRuns()).not.toContain('dropped1');
  });

  test('restart runs the same input again, under a new id or the old one', async () => {
    const { instanceId } = await bed.run('sequence', { keys: ['again'] });
    const renewed = (await (await bed.post(`instances/${instanceId}/restart`)).json()) as { id: string };
    expect(renewed.id).not.toBe(instanceId);
    expect((await bed.finish(renewed.id)).output).toEqual(['again']);
    expect(await codeOf(bed.post(`instances/${instanceId}/restart?restartWithNewInstanceId=false`))).toBe(
      202,
    );
    expect((await bed.finish(instanceId)).output).toEqual(['again']);
    expect(activityRuns().filter((run) => run === 'again')).toHaveLength(3);
    const waiting = await startWaiting();
    expect(await codeOf(bed.post(`instances/${waiting}/restart?restartWithNewInstanceId=false`))).toBe(409);
  });

  test('what is not supported says so', async () => {
    expect(await codeOf(bed.post('instances/any/rewind'))).toBe(501);
    expect(await codeOf(bed.request('entities/counter/one'))).toBe(501);
    expect(await codeOf(bed.post('instances/any/dance'))).toBe(404);
    expect((await fetch(`${bed.origin}/api/other`)).status).toBe(404);
  });

  test('an event must be JSON', async () => {
    const id = await startWaiting();
    const raise = (body: string, contentType: string) =>
      codeOf(
        bed.request(`instances/${id}/raiseEvent/item`, {
          method: 'POST',
          body,
          headers: { 'content-type': contentType },
        }),
      );
    expect(await raise('x', 'application/json')).toBe(400);
    expect(await raise('1', 'text/plain')).toBe(400);
    expect(await codeOf(bed.post(`instances/${id}/raiseEvent`))).toBe(400);
  });
});

describe('query and purge', () => {
  beforeAll(async () => {
    await bed.host?.stop();
    await bed.startHost({ hubName: 'QueryHub' });
    for (let i = 0; i < 7; i++) await bed.start('sequence', { keys: [] }, `done-${i}`);
    await startWaiting('open-1');
    await Promise.all(Array.from({ length: 7 }, (_, i) => bed.finish(`done-${i}`)));
  });

  const list = async (query: string) => {
    const response = await bed.request(`instances?${query}`);
    const ids = ((await response.json()) as Status[]).map(({ instanceId }) => instanceId);
    return { ids, token: response.headers.get('x-ms-continuation-token') };
  };

  test('pages are complete and without overlap', async () => {
    const seen: string[] = [];
    let token: string | null = null;
    do {
      const response: Response = await bed.request(
        'instances?top=3',
        token ? { headers: { 'x-ms-continuation-token': token } } : {},
      );
      const page = (await response.json()) as Status[];
      expect(page.length).toBeLessThanOrEqual(3);
      seen.push(...page.map(({ instanceId }) => instanceId));
      token = response.headers.get('x-ms-continuation-token');
    } while (token);
    expect(seen).toEqual(['done-0', 'done-1', 'done-2', 'done-3', 'done-4', 'done-5', 'done-6', 'open-1']);
    const bad = bed.request('instances', { headers: { 'x-ms-continuation-token': 'junk' } });
    expect(await codeOf(bad)).toBe(400);
  });

  test('filters select by status, id and time', async () => {
    expect((await list('runtimeStatus=Running,Pending')).ids).toEqual(['open-1']);
    expect((await list('runtimeStatus=ContinuedAsNew')).ids).toEqual([]);
    expect((await list('instanceIdPrefix=done-&top=100')).ids).toHaveLength(7);
    expect((await list('createdTimeFrom=2999-01-01')).ids).toEqual([]);
    expect((await list('createdTimeTo=2999-01-01T00:00:00Z')).ids).toHaveLength(8);
    expect(await codeOf(bed.request('instances?runtimeStatus=Sleeping'))).toBe(400);
    expect(await codeOf(bed.request('instances?createdTimeFrom=soon'))).toBe(400);
    expect(await codeOf(bed.request('instances?top=-1'))).toBe(400);
  });

  test('purge deletes finished instances only', async () => {
    const purge = async (path: string) => {
      const response = await bed.request(path, { method: 'DELETE' });
      return [response.status, ((await response.json()) as { instancesDeleted?: number }).instancesDeleted];
    };
    expect(await purge('instances/done-0')).toEqual([200, 1]);
    expect(await purge('instances/done-0')).toEqual([404, undefined]);
    expect(await purge('instances/open-1')).toEqual([409, undefined]);
    expect(await purge('instances?runtimeStatus=Running')).toEqual([400, undefined]);
    expect(await purge('instances?createdTimeFrom=2999-01-01')).toEqual([404, undefined]);
    expect(await purge('instances?createdTimeFrom=2000-01-01&runtimeStatus=Completed')).toEqual([200, 6]);
    expect((await list('')).ids).toEqual(['open-1']);
  });
});

test('the SDK’s own client works through the binding', async () => {
  const binding = df.input.durableClient();
  const extraInputs = { get: () => JSON.parse(bed.host!.clientBinding().string!) as unknown };
  process.env['WEBSITE_HOSTNAME'] = new URL(bed.origin).host;
  const client = df.getClient({
    options: { extraInputs: [binding] },
    extraInputs,
  } as unknown as InvocationContext);
  const id = await client.startNew('collect', { instanceId: 'by-client', input: { count: 1 } });
  expect((await client.getStatus(id)).name).toBe('collect');
  await client.suspend(id, 'a reason');
  await client.resume(id, 'a reason');
  await client.raiseEvent(id, 'item', { from: 'client' });
  expect((await bed.finish(id)).output).toEqual([{ from: 'client' }]);
  await expect(client.getStatus('none')).rejects.toThrow(/404/);
  await expect(client.rewind(id, 'x')).rejects.toThrow();
  expect((await client.getStatusAll()).map(({ instanceId }) => instanceId)).toContain(id);
  expect(await client.purgeInstanceHistory(id)).toEqual({ instancesDeleted: 1 });
  expect(client.createHttpManagementPayload('some').statusQueryGetUri).toBe(
    `${bed.origin}/runtime/webhooks/durabletask/instances/some?taskHub=QueryHub&connection=AzureWebJobsStorage`,
  );
});
