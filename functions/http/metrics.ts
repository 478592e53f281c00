// Metrics of this process for a Prometheus scraper, with the administrator's key. A scraper that is let in through the
// platform reaches one instance: the whole fleet is in the gauges, which come from storage, and in the exported metrics.
import { app } from '@azure/functions';
import type { HttpRequest, HttpResponseInit } from '@azure/functions';
import { createHash, timingSafeEqual } from 'node:crypto';
import { expositionContentType, formatExposition } from '../../lib/telemetry/exposition.ts';
import { services } from '../services.ts';
import { metricTable } from '../telemetry.ts';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

async function metrics(request: HttpRequest): Promise<HttpResponseInit> {
  const { settings } = await services();
  const [, key = ''] = /^bearer (\S+)$/i.exec(request.headers.get('authorization') ?? '') ?? [];
  // Digests are compared, so that the time taken says nothing about the key.
  if (!timingSafeEqual(digest(key), digest(settings.LIFEBOAT_ADMIN_KEY)))
    return { status: 401, headers: { 'www-authenticate': 'Bearer' } };
  return {
    headers: { 'content-type': expositionContentType, 'cache-control': 'no-store' },
    body: formatExposition(metricTable),
  };
}

app.http('metrics', { route: 'metrics', methods: ['GET'], authLevel: 'anonymous', handler: metrics });
