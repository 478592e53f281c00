// What leaves the process: a stand-in for the ingestion endpoint of Application Insights keeps every envelope.
import { InvocationContext } from '@azure/functions';
import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ExportHttpClient } from '../../../functions/azureMonitor.ts';
import { metricTable, startExport, stopExport, telemetryFor } from '../../../functions/telemetry.ts';
import { LifeboatError } from '../../../lib/errors.ts';

interface Envelope {
  name: string;
  tags: Record<string, string>;
  data: {
    baseType: string;
    baseData: {
      id?: string;
      name?: string;
      success?: boolean;
      properties?: Record<string, string>;
      metrics?: { name: string; value: number; count?: number; max?: number }[];
    };
  };
}

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const uploadSpanId = '00f067aa0ba902b7';
const uploaded = `00-${traceId}-${uploadSpanId}-01`;
const hostTrace = '00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01';

let envelopes: Envelope[];
let urls: string[];
const environment = {
  APPLICATIONINSIGHTS_CONNECTION_STRING:
    'InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint=https://ingestion.example/',
};

const ingestion: ExportHttpClient = {
  async sendRequest(request) {
    const body = typeof request.body === 'string' ? Buffer.from(request.body) : (request.body as Uint8Array);
    const isZipped = request.headers.get('content-encoding') === 'gzip';
    const sent = JSON.parse((isZipped ? gunzipSync(body) : Buffer.from(body)).toString()) as Envelope[];
    envelopes.push(...sent);
    urls.push(request.url);
    const answer = { itemsReceived: sent.length, itemsAccepted: sent.length, errors: [] };
    return { request, status: 200, headers: request.headers, bodyAsText: JSON.stringify(answer) };
  },
};
const start = () => startExport(environment, ingestion);

beforeEach(() => void ([envelopes, urls] = [[], []]));
afterEach(stopExport);

const invocation = (lines: string[] = []): InvocationContext =>
  new InvocationContext({
    functionName: 'deltaUploaded',
    traceContext: { traceParent: hostTrace },
    logHandler: (level, ...args) => lines.push(`${level} ${args.join(' ')}`),
  });

const spansOf = () => envelopes.filter(({ data }) => data.baseType !== 'MetricData');

describe('the export', () => {
  it('sends a trace that begins at the upload and goes through every span', async () => {
    expect(await start()).toBeDefined();
    const telemetry = telemetryFor(invocation());
    let carried: string | undefined;
    await telemetry.span(
      'lifeboat.cycle.apply',
      { ids: { item: 'vm-1', cycle: 7 }, causes: [uploaded, 'not a traceparent'] },
      () =>
        telemetry.span(
          'lifeboat.log.merge',
          { ids: { item: 'vm-1', cycle: 7, disk: 'os' } },
          async (span) => {
            span.set({ 'lifeboat.bytes': 4096 });
            carried = telemetry.traceparent();
          },
        ),
    );
    await stopExport();
    const [merge, apply] = spansOf();
    expect(apply).toMatchObject({
      tags: { 'ai.operation.id': traceId, 'ai.operation.parentId': uploadSpanId },
      data: { baseData: { name: 'lifeboat.cycle.apply', success: true } },
    });
    expect(apply?.data.baseData.properties).toMatchObject({ 'lifeboat.item': 'vm-1', 'lifeboat.cycle': '7' });
    expect(JSON.stringify(apply)).toContain('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa');
    expect(merge?.tags).toMatchObject({
      'ai.operation.id': traceId,
      'ai.operation.parentId': apply?.data.baseData.id,
    });
    expect(merge?.data.baseData.properties).toMatchObject({ 'lifeboat.bytes': '4096' });
    expect(carried).toBe(`00-${traceId}-${merge?.data.baseData.id}-01`);
  });

  it('without a cause the trace is that of the host', async () => {
    await start();
    await telemetryFor(invocation()).span('lifeboat.item.drain', {}, async () => undefined);
    await stopExport();
    expect(spansOf()[0]?.tags['ai.operation.id']).toBe('a'.repeat(32));
  });

  it('says itself whether its spans are kept, whatever the host does with its own', async () => {
    await start();
    const quiet = new InvocationContext({
      functionName: 'reconcile',
      traceContext: { traceParent: hostTrace.replace(/01$/, '00') },
    });
    await telemetryFor(quiet).span('lifeboat.item.drain', {}, async () => undefined);
    await stopExport();
    expect(spansOf()[0]?.tags['ai.operation.id']).toBe('a'.repeat(32));
  });

  it('nests what goes on in the trace that runs already, and links what does not', async () => {
    await start();
    const telemetry = telemetryFor(invocation());
    const other = uploaded.replace(traceId, 'c'.repeat(32));
    await telemetry.span('lifeboat.delta.received', { causes: [uploaded] }, async () => {
      await telemetry.span('lifeboat.cycle.apply', { causes: [uploaded] }, async () => undefined);
      await telemetry.span('lifeboat.cycle.apply', { causes: [other] }, async () => undefined);
    });
    await stopExport();
    const [same, foreign, received] = spansOf();
    expect(same?.tags).toMatchObject({
      'ai.operation.id': traceId,
      'ai.operation.parentId': received?.data.baseData.id,
    });
    expect(foreign?.tags).toMatchObject({
      'ai.operation.id': 'c'.repeat(32),
      'ai.operation.parentId': uploadSpanId,
    });
    expect(JSON.stringify(foreign)).toContain(received?.data.baseData.id);
  });

  it('keeps whole traces by their id where the setting says so, whatever the uploader wants', async () => {
    const half = { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.5' };
    await startExport({ ...environment, ...half }, ingestion);
    const telemetry = telemetryFor(new InvocationContext());
    const ids = Array.from({ length: 40 }, (_, index) =>
      createHash('sha256').update(String(index)).digest('hex').slice(0, 32),
    );
    for (const id of [...ids, ...ids])
      await telemetry.span(
        'lifeboat.cycle.apply',
        { causes: [`00-${id}-${uploadSpanId}-01`] },
        async () => 0,
      );
    await stopExport();
    const kept = spansOf().map(({ tags }) => tags['ai.operation.id'] ?? '');
    // Two spans of each trace that is kept, none of the others.
    expect(kept.sort()).toEqual([...new Set(kept)].flatMap((id) => [id, id]));
    expect(new Set(kept).size).toBeGreaterThan(8);
    expect(new Set(kept).size).toBeLessThan(32);
  });

  it('a failure marks the span and comes through', async () => {
    await start();
    const failure = new LifeboatError('FenceLost', 'somebody else');
    const failing = telemetryFor(invocation()).span('lifeboat.cycle.apply', {}, () =>
      Promise.reject(failure),
    );
    await expect(failing).rejects.toBe(failure);
    await stopExport();
    expect(spansOf()[0]?.data.baseData.success).toBe(false);
  });

  it('sends metrics under their names with their attributes, and nothing about itself', async () => {
    await start();
    const telemetry = telemetryFor(invocation());
    telemetry.record('lifeboat.rpo.ratio', 1.5, { item: 'vm-1' });
    telemetry.record('lifeboat.job.ended', 1, { scenario: 'EnableDr', state: 'Failed' });
    for (const seconds of [1, 3]) telemetry.record('lifeboat.cycle.latency', seconds, {});
    await stopExport();
    const sent = envelopes.flatMap(({ data: { baseData } }) =>
      (baseData.metrics ?? []).map((metric) => ({ ...metric, properties: baseData.properties })),
    );
    expect(sent).toContainEqual(
      expect.objectContaining({ name: 'lifeboat.rpo.ratio', value: 1.5, properties: { item: 'vm-1' } }),
    );
    expect(sent).toContainEqual(
      expect.objectContaining({
        name: 'lifeboat.job.ended',
        value: 1,
        properties: { scenario: 'EnableDr', state: 'Failed' },
      }),
    );
    expect(sent.find(({ name }) => name === 'lifeboat.cycle.latency')).toMatchObject({
      value: 4,
      count: 2,
      max: 3,
    });
    expect(sent.filter(({ name }) => !name.startsWith('lifeboat.'))).toEqual([]);
    for (const url of urls) expect(url).toMatch(/^https:\/\/ingestion\.example\/v2\.1\/track/);
  });

  it('a connection string that is none leaves the app running, without export', async () => {
    const broken = { APPLICATIONINSIGHTS_CONNECTION_STRING: 'nonsense' };
    expect(await startExport(broken)).toBeUndefined();
    expect(await telemetryFor(invocation()).span('lifeboat.item.drain', {}, async () => 5)).toBe(5);
  });

  it('without a connection string nothing is loaded, and metrics are counted all the same', async () => {
    expect(await startExport({})).toBeUndefined();
    const telemetry = telemetryFor(invocation());
    telemetry.record('lifeboat.merge.bytes', 3, {});
    expect(telemetry.traceparent()).toBe(hostTrace);
    expect(telemetryFor(new InvocationContext()).traceparent()).toBeUndefined();
    expect(Object.fromEntries(metricTable.read())['lifeboat.merge.bytes']?.[0]?.value).toBe(3);
    expect(envelopes).toEqual([]);
  });

  it('without a connection string the trace is carried on all the same, into rows and log lines', async () => {
    const lines: string[] = [];
    const telemetry = telemetryFor(invocation(lines));
    await telemetry.span('lifeboat.cycle.apply', { causes: ['nonsense', uploaded] }, () =>
      telemetry.span('lifeboat.cycle.record', {}, async () => {
        expect(telemetry.traceparent()).toBe(uploaded);
        telemetry.event('cycle.applied', 'applied', { item: 'vm-1' });
      }),
    );
    expect(lines).toEqual([`information cycle.applied: applied {"trace":"${traceId}","item":"vm-1"}`]);
    const nobody = telemetryFor(new InvocationContext());
    await nobody.span('lifeboat.item.drain', {}, async () => expect(nobody.traceparent()).toBeUndefined());
  });
});

describe('events', () => {
  it('are lines for people that end with their ids as JSON', () => {
    const lines: string[] = [];
    const telemetry = telemetryFor(invocation(lines));
    telemetry.event('cycle.applied', 'applied cycle 7 of vm-1', { item: 'vm-1', cycle: 7 });
    telemetry.event('drain.failed', 'draining vm-1 failed', { item: 'vm-1', code: 'FenceLost' });
    const trace = 'a'.repeat(32);
    expect(lines[0]).toBe(
      `information cycle.applied: applied cycle 7 of vm-1 {"trace":"${trace}","item":"vm-1","cycle":7}`,
    );
    expect(lines[1]).toMatch(/^error drain.failed: /);
  });
});
