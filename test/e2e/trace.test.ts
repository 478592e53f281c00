// One trace from upload to recovery point, and one from a request through its job: the built app in the local host, exporting to
// an endpoint on this machine, with the exporter that it has in Azure.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { newCycleTrace } from '../../agent/upload/cycleTrace.ts';
import { makeCertificates } from '../../local/tls/certificates.ts';
import { startHost, temporaryFolder } from '../host/startHost.ts';
import { SourceHost } from './client.ts';
import type { Point, Service } from './client.ts';

const root = join(import.meta.dirname, '..', '..');
const mebibyte = 2 ** 20;

interface Span {
  name: string;
  id: string;
  traceId: string | undefined;
  parentId: string | undefined;
  success: boolean;
  properties: Record<string, string>;
}

interface Envelope {
  tags: Record<string, string>;
  data: {
    baseType: string;
    baseData: { name: string; id: string; success: boolean; properties?: Record<string, string> };
  };
}

interface Ingestion {
  url: string;
  authority: string;
  spans: Span[];
  close(): void;
}

/** What Application Insights would have: an ingestion endpoint that keeps the spans. */
async function openIngestion(): Promise<Ingestion> {
  const spans: Span[] = [];
  // The exporter speaks to nobody without TLS.
  const { authority, certificate, privateKey } = makeCertificates(['127.0.0.1'], new Date());
  const server = createServer({ cert: certificate + authority, key: privateKey }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const bytes = Buffer.concat(chunks);
      const text = request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes;
      const sent = JSON.parse(text.toString()) as Envelope[];
      for (const { tags, data } of sent) {
        if (data.baseType === 'MetricData') continue;
        const { name, id, success, properties = {} } = data.baseData;
        const place = { traceId: tags['ai.operation.id'], parentId: tags['ai.operation.parentId'] };
        spans.push({ name, id, success, properties, ...place });
      }
      const answer = { itemsReceived: sent.length, itemsAccepted: sent.length, errors: [] };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { url, authority, spans, close };
}

interface Cycle {
  traceparent: string;
  cycle: number;
  point: Point;
}

/** Received, checked, merged, snapshotted, recorded: all in the trace that the logs brought, and all hanging on the upload. */
function expectWholeTrace(spans: readonly Span[], { traceparent, cycle, point }: Cycle): void {
  const [, traceId, uploadSpanId] = traceparent.split('-');
  expect(point.properties.providerSpecificDetails).toMatchObject({ cycle, traceId });
  const trace = spans.filter((span) => span.traceId === traceId);
  const named = (name: string): Span[] => trace.filter((span) => span.name === name);
  const disksOf = (name: string) =>
    named(name)
      .map(({ properties }) => properties['lifeboat.disk'])
      .sort();
  expect(named('lifeboat.delta.received').map(({ parentId }) => parentId)).toEqual([
    uploadSpanId,
    uploadSpanId,
  ]);
  for (const name of ['lifeboat.delta.received', 'lifeboat.log.check', 'lifeboat.log.merge'])
    expect(disksOf(name)).toEqual(['data', 'os']);
  const ids = { 'lifeboat.item': 'vm-1', 'lifeboat.cycle': String(cycle) };
  for (const name of ['lifeboat.cycle.apply', 'lifeboat.cycle.snapshot', 'lifeboat.cycle.record'])
    expect(named(name)).toMatchObject([{ success: true, properties: ids }]);
  expect(named('lifeboat.cycle.record')[0]?.properties['lifeboat.recoverypoint']).toBe(point.name);
  const parents = new Map(trace.map(({ id, parentId }) => [id, parentId]));
  for (const { id } of trace) {
    let at: string | undefined = id;
    while (at !== undefined && at !== uploadSpanId) at = parents.get(at);
    expect(at).toBe(uploadSpanId);
  }
}

it('one delta is one trace from upload to recovery point, and a job goes on in the trace of its request', async () => {
  const ingestion = await openIngestion();
  const connection = `InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint=${ingestion.url}`;
  const folder = temporaryFolder();
  const trusted = join(folder, 'authority.pem');
  writeFileSync(trusted, ingestion.authority);
  const host = await startHost({
    app: root,
    dataDirectory: join(folder, 'data'),
    args: ['--strict'],
    env: { APPLICATIONINSIGHTS_CONNECTION_STRING: connection, NODE_EXTRA_CA_CERTS: trusted },
  });
  try {
    const source = new SourceHost(host.local as unknown as Service);
    const request = newCycleTrace();
    source.headers = { traceparent: request };
    const disks = { os: randomBytes(mebibyte), data: randomBytes(mebibyte) };
    const item = await source.protect('vm-1', { os: mebibyte, data: mebibyte });
    source.headers = {};
    await source.replicate('vm-1', disks);
    const cycles: string[] = [];
    for (const cycle of [1, 2]) {
      const traceparent = newCycleTrace();
      cycles.push(traceparent);
      for (const disk of ['os', 'data']) {
        const log = source.cutLog('vm-1', disk, [{ offset: 4096 * cycle, data: randomBytes(8192) }]);
        await source.putLog(`vm-1/00000000000${cycle}/${disk}.hrl`, log, { traceparent });
      }
      await source.awaitPoints(item, cycle);
    }
    const points = await source.points(item);
    await host.stop();

    for (const [index, traceparent] of cycles.entries())
      expectWholeTrace(ingestion.spans, { traceparent, cycle: index + 1, point: points[index]! });
    for (const traceparent of cycles)
      expect(host.output()).toContain(`{"trace":"${traceparent.split('-')[1]}","item":"vm-1","cycle":`);

    const requestTraceId = request.split('-')[1];
    const activities = ingestion.spans.filter(
      (span) => span.name === 'lifeboat.activity' && span.properties['lifeboat.item'] === 'vm-1',
    );
    expect(new Set(activities.map((span) => span.traceId))).toEqual(new Set([requestTraceId]));
    const names = activities.map(({ properties }) => properties['activity']);
    expect(names).toEqual(
      expect.arrayContaining(['checkPrerequisites', 'createReplicas', 'mergeQueuedLogs']),
    );
  } finally {
    ingestion.close();
  }
});
