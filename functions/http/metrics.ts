// Metrics for a Prometheus scraper that may read the vault: the gauges of all items, which come from storage, and the
// counters and histograms of the instance that answers.
import { app } from '@azure/functions';
import type { HttpRequest, HttpResponseInit, InvocationContext } from '@azure/functions';
import { authenticate } from '../../lib/auth/authenticate.ts';
import { hasRole } from '../../lib/auth/caller.ts';
import { isLifeboatError } from '../../lib/errors.ts';
import { expositionContentType, formatExposition } from '../../lib/telemetry/exposition.ts';
import { sampleFleet } from '../../lib/telemetry/fleet.ts';
import { replicationContext, services } from '../services.ts';
import { metricTable } from '../telemetry.ts';

/** However often it is scraped, the rows of all items are read no more often than this. */
const sampleEveryMs = 15_000;
let sampledAtMs = -Infinity;

/** The status that keeps the caller out, or undefined for one who may read. */
async function refusalOf(request: HttpRequest): Promise<401 | 403 | undefined> {
  try {
    const header = request.headers.get('authorization') ?? undefined;
    const caller = await authenticate((await services()).credentials, header, new Date());
    if (caller.kind === 'anonymous') return 401;
    return hasRole(caller, 'Reader') ? undefined : 403;
  } catch (error) {
    if (isLifeboatError(error, 'Unauthorized')) return 401;
    if (isLifeboatError(error, 'Forbidden')) return 403;
    throw error;
  }
}

async function metrics(request: HttpRequest, invocation: InvocationContext): Promise<HttpResponseInit> {
  const refusal = await refusalOf(request);
  if (refusal !== undefined)
    return { status: refusal, ...(refusal === 401 ? { headers: { 'www-authenticate': 'Bearer' } } : {}) };
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
