// A storage that fails now and then, before or after it has done what it was asked: instances are loaded again and end as if nothing
// had been. A loopback proxy in front of Azurite's tables refuses every n-th write with a status that the SDK does not retry.
import {
  createServer,
  request as forward,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { activityRuns, DurableTestBed } from './durableTestBed.ts';

let bed: DurableTestBed;
let proxy: Server;
let writeCount = 0;
let failEvery = Infinity;
let failsAfterwards = false;

beforeAll(async () => {
  bed = await DurableTestBed.create();
  const tables = new URL(/TableEndpoint=([^;]+)/.exec(bed.azurite.connectionString)![1]!);
  proxy = createServer((request, response) => pass(request, response, tables.port));
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  await bed.close();
  proxy.closeAllConnections();
  await new Promise((resolve) => proxy.close(resolve));
});

function pass(request: IncomingMessage, response: ServerResponse, port: string): void {
  const fails = request.method !== 'GET' && ++writeCount % failEvery === 0;
  const refuse = () => response.writeHead(403, { 'x-ms-error-code': 'Injected' }).end();
  if (fails && !failsAfterwards) {
    request.resume().on('end', refuse);
    return;
  }
  const { method, url, headers } = request;
  const upstream = forward({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
    if (fails) {
      answer.resume().on('end', refuse);
      return;
    }
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(response);
  });
  request.pipe(upstream);
}

test.each([
  { every: 7, afterwards: false },
  { every: 7, afterwards: true },
  { every: 10, afterwards: true },
])('one write in $every fails (done all the same: $afterwards)', async ({ every, afterwards }) => {
  const { port } = proxy.address() as AddressInfo;
  const storageConnectionString = bed.azurite.connectionString.replace(
    /TableEndpoint=http:\/\/127\.0\.0\.1:\d+/,
    `TableEndpoint=http://127.0.0.1:${port}`,
  );
  failEvery = Infinity;
  await bed.host?.stop();
  await bed.startHost({ storageConnectionString });
  const run = `every ${every} ${afterwards}`;
  const everything = await bed.start('everything', { key: run });
  const eternal = await bed.start('eternal', { round: 1, rounds: 3, seen: [] });
  const parent = await bed.start('parent', { keys: [`${run} a`, `${run} b`] });
  failsAfterwards = afterwards;
  failEvery = every;
  // The event may be answered 500 although it was taken; raising it again is harmless here.
  while ((await bed.post(`instances/${everything}/raiseEvent/go`, run)).status !== 202);
  const outputs: unknown[] = [];
  for (const id of [everything, eternal, parent]) outputs.push((await bed.finish(id)).output);
  failEvery = Infinity;
  expect(outputs).toEqual([
    { first: `${run} first`, both: [`${run} left`, [`${run} child`]], decided: run, retried: true },
    [1, 2, 3].map((round) => `${eternal} round ${round}`),
    ['a', 'b'].map((key) => [`${run} ${key}1`, `${run} ${key}2`]),
  ]);
  // The host did not crash, so nothing ran twice.
  const runs = activityRuns().filter(
    (one) => String(one).startsWith(`${run} `) && !String(one).endsWith('flaky'),
  );
  expect(runs).toHaveLength(new Set(runs).size);
});
