// Runs an HTTP function for one request and answers with its result. A failure tells the client nothing of the app.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Worker } from '../worker/types.ts';
import { readBody, toHttpTrigger, toStreamMetadata } from './httpRequestData.ts';
import { sendReturnValue } from './httpResponseData.ts';
import type { RouteMatch } from './routeTable.ts';
import type { StreamingProxy } from './streamingProxy.ts';

export function answerEmpty(response: ServerResponse, statusCode: number): void {
  response.writeHead(statusCode, { 'content-length': 0 }).end();
}

/** As the real host: the trace of a caller that sends one goes on. */
function traceParentOf({ headers }: IncomingMessage): string | undefined {
  const { traceparent } = headers;
  return typeof traceparent === 'string' ? traceparent : undefined;
}

/** Answers with what the function returns; 500 and empty when it fails. */
export async function invoke(
  worker: Worker,
  { route, params }: RouteMatch,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(request);
  let result;
  try {
    result = await worker.invoke({
      functionId: route.loaded.functionId,
      trigger: toHttpTrigger(request, params, body),
      traceParent: traceParentOf(request),
    });
  } catch {
    // The worker has logged it; the client learns nothing of the app's insides.
    answerEmpty(response, 500);
    return;
  }
  sendReturnValue(response, result.returnValue);
}

/** The same for an app that streams: the app's library writes the response through the proxy. */
export async function invokeStreaming(
  worker: Worker,
  proxy: StreamingProxy,
  { route, params }: RouteMatch,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): Promise<void> {
  const invocationId = randomUUID();
  const { functionId } = route.loaded;
  const triggerMetadata = toStreamMetadata(request, params);
  let failure: unknown;
  const call = async (): Promise<void> => {
    try {
      await worker.invoke({
        ...{ functionId, invocationId, trigger: { http: {} }, triggerMetadata },
        traceParent: traceParentOf(request),
      });
    } catch (error) {
      failure = error ?? new Error('The function failed.');
      throw error;
    }
  };
  try {
    await proxy.forward(request, response, { invocationId, invoke: call });
  } catch (error) {
    if (failure === undefined) throw error;
    if (!response.headersSent) answerEmpty(response, 500);
  }
}
