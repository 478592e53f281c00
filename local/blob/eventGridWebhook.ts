// The webhook that an Event Grid subscription of a storage account posts to: answers the validation handshake and
// turns BlobCreated events into messages of the same queue. As in the real host there is no receipt and no
// check of the version: an event always means a run.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { readBody } from '../http/httpRequestData.ts';
import type { HostLog } from '../worker/types.ts';
import type { BlobFunction } from './blobFunction.ts';
import { type BlobMessage, toFunctionId } from './blobMessage.ts';

export interface EventGridWebhookOptions {
  functions: readonly BlobFunction[];
  enqueue: (message: BlobMessage) => Promise<void>;
  log: HostLog;
}

interface GridEvent {
  eventType?: string;
  data?: { validationCode?: string; url?: string; blobType?: string };
}

const webhookPath = '/runtime/webhooks/blobs';

/** Answers the webhook's path; false for any other. */
export async function handleEventGrid(
  options: EventGridWebhookOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  if (pathname.toLowerCase() !== webhookPath) return false;
  const wanted = (searchParams.get('functionName') ?? '').toLowerCase();
  const blobFunction = options.functions.find(({ loaded: { name } }) =>
    [name, toFunctionId(name)].some((known) => known.toLowerCase() === wanted),
  );
  if (request.method !== 'POST' || blobFunction === undefined) {
    response.writeHead(404, { 'content-length': 0 }).end();
    return true;
  }
  const events = parseEvents((await readBody(request)) ?? Buffer.alloc(0));
  if (events === undefined) {
    response.writeHead(400).end('The body must be a JSON array of Event Grid events.\n');
    return true;
  }
  const handshake = events.find(
    ({ eventType }) => eventType === 'Microsoft.EventGrid.SubscriptionValidationEvent',
  );
  if (handshake !== undefined) {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ validationResponse: handshake.data?.validationCode ?? '' }));
    return true;
  }
  for (const event of events) await take(options, blobFunction, event);
  response.writeHead(202, { 'content-length': 0 }).end();
  return true;
}

async function take(
  { enqueue, log }: EventGridWebhookOptions,
  blobFunction: BlobFunction,
  event: GridEvent,
): Promise<void> {
  if (event.eventType !== 'Microsoft.Storage.BlobCreated') return;
  const place = findPlace(blobFunction, event.data?.url ?? '');
  if (place === undefined) {
    log(
      'debug',
      'Host.Blobs',
      `An event for ${blobFunction.loaded.name} names no blob of ${blobFunction.path.text}.`,
    );
    return;
  }
  await enqueue({
    Type: 'BlobTrigger',
    FunctionId: toFunctionId(blobFunction.loaded.name),
    BlobType: event.data?.blobType ?? 'BlockBlob',
    ContainerName: place.container,
    BlobName: place.blob,
  });
}

/** Container and blob of a URL of the function's account, when the blob is one the function watches. */
function findPlace(
  { account, path }: BlobFunction,
  url: string,
): { container: string; blob: string } | undefined {
  if (!URL.canParse(url)) return undefined;
  const accountPath = new URL(account.blobs.url).pathname.replace(/\/$/, '');
  const { pathname } = new URL(url);
  const rest = pathname.startsWith(`${accountPath}/`) ? pathname.slice(accountPath.length) : pathname;
  const [, container = '', ...pieces] = rest.split('/');
  const blob = decodeURIComponent(pieces.join('/'));
  return container === path.container && path.match(blob) !== undefined ? { container, blob } : undefined;
}

function parseEvents(body: Buffer): GridEvent[] | undefined {
  try {
    const parsed = JSON.parse(body.toString('utf8')) as unknown;
    const events: unknown[] = Array.isArray(parsed) ? parsed : [parsed];
    return events.every((event) => typeof event === 'object' && event !== null) ? events : undefined;
  } catch {
    return undefined;
  }
}
