// Liveness and readiness without a key: says whether storage answers, and nothing else.
import { app } from '@azure/functions';
import type { HttpResponseInit, InvocationContext } from '@azure/functions';
import { toErrorRecord } from '../../lib/errors.ts';
import { services } from '../services.ts';

async function health(_request: unknown, invocation: InvocationContext): Promise<HttpResponseInit> {
  try {
    const { storage } = await services();
    await storage.vault.find('fabrics', 'health');
    return { jsonBody: { status: 'Healthy' } };
  } catch (error) {
    // The reason may name the account: it goes to the log, not to a caller without a key.
    invocation.error(`health: ${toErrorRecord(error).message}`);
    return {
      status: 503,
      jsonBody: {
        status: 'Unhealthy',
        reason: 'The app settings are not valid or storage does not answer; see the log.',
      },
    };
  }
}

app.http('health', { route: 'health', methods: ['GET'], authLevel: 'anonymous', handler: health });
