// Metrics for a Prometheus scraper, with the administrator's key: the gauges of all items, which come from storage, and the
// counters and histograms of the instance that answers.
import { app } from '@azure/functions';
import type { HttpRequest, HttpResponseInit, InvocationContext } from '@azure/functions';
import { createHash, timingSafeEqual } from 'node:crypto';
import { expositionContentType, formatExposition } from '../../lib/telemetry/exposition.ts';
import { sampleFleet } from '../../lib/telemetry/fleet.ts';
import { replicationContext, services } from '../services.ts';
import { metricTable } from '../telemetry.ts';

/** However often it is scraped, the rows of all items are read no more often than this. */
const sampleEveryMs = 15_000;
let sampledAtMs = -Infinity;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

async function metrics(request: HttpRequest, invocation: InvocationContext): Promise<HttpResponseInit> {
  const { settings } = await services();
  const [, key = ''] = /^bearer (\S+)$/i.exec(request.headers.get('authorization') ?? '') ?? [];
  // Digests are compared, so that the time taken says nothing about the key.
  if (!timingSafeEqual(digest(key), digest(settings.LIFEBOAT_ADMIN_KEY)))
    return { status: 401, headers: { 'www-authenticate': 'Bearer' } };
  if (performance.now() - sampledAtMs > sampleEveryMs) {
    sampledAtMs = performance.now();
    await sampleFleet(await replicationContext(invocation));
  }
  return {
    headers: { 'content-type': expositionContentType, 'cache-control': 'no-store' },
    body: formatExposition(metricTable),
  };
}

app.http('metrics', { route: 'metrics', methods: ['GET'], authLevel: 'anonymous', handler: metrics });
