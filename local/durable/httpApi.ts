// The management API: the paths, parameters and status codes of the Durable extension, under both of its bases.
// This file routes and answers; instanceRequests.ts does the work.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HostLog } from '../worker/types.ts';
import { errorText } from './errorText.ts';
import {
  parseFlag,
  parseInstanceFilter,
  parsePositiveNumber,
  parsePurgeFilter,
  RequestError,
} from './httpQuery.ts';
import { decodeSegment, parseJsonText, readEventBody, toApiRequest, type ApiRequest } from './httpRequest.ts';
import type { InstanceRequests } from './instanceRequests.ts';
import { type ApiAddress, instanceLinks, rpcBasePath, webhookBasePath } from './links.ts';
import { HostHalted } from './stepGuard.ts';
import type { StatusView } from './statusView.ts';

export interface ManagementApiOptions {
  requests: InstanceRequests;
  /** Asked each time links are made. */
  address(): ApiAddress;
  log: HostLog;
}

interface ApiAnswer {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

interface Route {
  method: string;
  /** First segment of the path below the base. */
  collection: string;
  segmentCounts: readonly number[];
  /** Gets the path's second and third segment. */
  answer(request: ApiRequest, first: string, second: string | undefined): Promise<ApiAnswer>;
}

const defaultPageSize = 100;

export class ManagementApi {
  private readonly options: ManagementApiOptions;
  private readonly routes: readonly Route[] = [
    {
      method: 'POST',
      collection: 'orchestrators',
      segmentCounts: [2, 3],
      answer: (request, name, id) => this.start(name, id, request),
    },
    { method: 'GET', collection: 'instances', segmentCounts: [1], answer: (request) => this.list(request) },
    {
      method: 'GET',
      collection: 'instances',
      segmentCounts: [2],
      answer: (request, id) => this.show(id, request),
    },
    {
      method: 'DELETE',
      collection: 'instances',
      segmentCounts: [1],
      answer: (request) => this.purgeMany(request),
    },
    {
      method: 'DELETE',
      collection: 'instances',
      segmentCounts: [2],
      answer: (_request, id) => this.purge(id),
    },
    {
      method: 'POST',
      collection: 'instances',
      segmentCounts: [3, 4],
      answer: (request, id, verb = '') => this.act(id, verb.toLowerCase(), request),
    },
  ];

  constructor(options: ManagementApiOptions) {
    this.options = options;
  }

  /** Answers the request if its path is below one of the API's bases; false, untouched, when it is not. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const base = [webhookBasePath, rpcBasePath].find((path) =>
      url.pathname.toLowerCase().startsWith(`${path}/`),
    );
    if (base === undefined) return false;
    let answer: ApiAnswer;
    try {
      const segments = url.pathname.slice(base.length).split('/').filter(Boolean).map(decodeSegment);
      answer = await this.route(toApiRequest(request, segments, url.searchParams));
    } catch (error) {
      answer = this.toErrorAnswer(error, `${request.method ?? ''} ${url.pathname}`);
    }
    const body = answer.body === undefined ? '' : JSON.stringify(answer.body);
    response.writeHead(answer.status, {
      'content-type': 'application/json; charset=utf-8',
      ...answer.headers,
    });
    response.end(body);
    return true;
  }

  private async route(request: ApiRequest): Promise<ApiAnswer> {
    const [collection = '', first = '', second] = request.segments;
    const name = collection.toLowerCase();
    const count = request.segments.length;
    const route = this.routes.find(
      (one) => one.method === request.method && one.collection === name && one.segmentCounts.includes(count),
    );
    if (route) return route.answer(request, first, second);
    if (name === 'entities') {
      throw new RequestError(
        501,
        'The local host does not support Durable entities; keep shared state in a table.',
      );
    }
    throw new RequestError(
      404,
      `The management API has no ${request.method} on ${request.segments.join('/')}.`,
    );
  }

  private async start(name: string, instanceId: string | undefined, request: ApiRequest): Promise<ApiAnswer> {
    const { query } = request;
    const timeoutSeconds = parsePositiveNumber(query, 'timeout');
    const body = await request.readBody();
    const id = await this.options.requests.start({
      name,
      instanceId,
      version: query.get('version') ?? '',
      input: parseJsonText(body),
    });
    if (timeoutSeconds !== undefined) {
      const view = await this.options.requests.waitForEnd(id, timeoutSeconds * 1000);
      if (view)
        return view.runtimeStatus === 'Completed'
          ? { status: 200, body: view.output }
          : this.toStatusAnswer(view, true);
    }
    return this.accepted(id);
  }

  private accepted(instanceId: string): ApiAnswer {
    const links = instanceLinks(this.options.address(), instanceId);
    return {
      status: 202,
      body: links,
      headers: { location: links['statusQueryGetUri'] ?? '', 'retry-after': '10' },
    };
  }

  private async show(instanceId: string, { query }: ApiRequest): Promise<ApiAnswer> {
    const view = await this.options.requests.show(instanceId, {
      showInput: parseFlag(query, 'showInput', true),
      showHistory: parseFlag(query, 'showHistory', false),
      showHistoryOutput: parseFlag(query, 'showHistoryOutput', false),
    });
    return this.toStatusAnswer(view, parseFlag(query, 'returnInternalServerErrorOnFailure', false));
  }

  private toStatusAnswer(view: StatusView, failureIsServerError: boolean): ApiAnswer {
    if (view.runtimeStatus === 'Failed' && failureIsServerError) return { status: 500, body: view };
    if (['Completed', 'Failed', 'Terminated'].includes(view.runtimeStatus))
      return { status: 200, body: view };
    const links = instanceLinks(this.options.address(), view.instanceId);
    return {
      status: 202,
      body: view,
      headers: { location: links['statusQueryGetUri'] ?? '', 'retry-after': '5' },
    };
  }

  private async list({ query, continuationToken }: ApiRequest): Promise<ApiAnswer> {
    const pageSize = Math.min(parsePositiveNumber(query, 'top') ?? defaultPageSize, 1000);
    const page = await this.options.requests.list(parseInstanceFilter(query), {
      pageSize: Math.ceil(pageSize),
      showInput: parseFlag(query, 'showInput', true),
      continuationToken,
    });
    const headers =
      page.continuationToken === undefined ? {} : { 'x-ms-continuation-token': page.continuationToken };
    return { status: 200, body: page.views, headers };
  }

  private async act(instanceId: string, verb: string, request: ApiRequest): Promise<ApiAnswer> {
    const { requests } = this.options;
    const name = request.segments[3];
    const reason = request.query.get('reason') ?? '';
    switch (verb) {
      case 'raiseevent':
        if (name === undefined)
          throw new RequestError(400, 'The event has no name: POST instances/{id}/raiseEvent/{eventName}.');
        await requests.raiseEvent(instanceId, name, await readEventBody(request));
        return { status: 202 };
      case 'terminate':
      case 'suspend':
      case 'resume':
        await requests.control(instanceId, verb, reason);
        return { status: 202 };
      case 'restart':
        return this.accepted(
          await requests.restart(instanceId, parseFlag(request.query, 'restartWithNewInstanceId', true)),
        );
      case 'rewind':
        throw new RequestError(
          501,
          'Rewind is not supported by the local host; start the orchestration again (restart).',
        );
      default:
        throw new RequestError(
          404,
          `There is no operation ${verb}; use raiseEvent, terminate, suspend, resume or restart.`,
        );
    }
  }

  private async purge(instanceId: string): Promise<ApiAnswer> {
    await this.options.requests.purge(instanceId);
    return { status: 200, body: { instancesDeleted: 1 } };
  }

  private async purgeMany({ query }: ApiRequest): Promise<ApiAnswer> {
    const instancesDeleted = await this.options.requests.purgeMany(parsePurgeFilter(query));
    if (instancesDeleted === 0) throw new RequestError(404, 'No finished instance matches the filter.');
    return { status: 200, body: { instancesDeleted } };
  }

  private toErrorAnswer(error: unknown, what: string): ApiAnswer {
    if (error instanceof RequestError) return { status: error.status, body: { Message: error.message } };
    if (error instanceof HostHalted) return { status: 503, body: { Message: error.message } };
    const message = errorText(error);
    this.options.log('error', 'Host.Durable', `${what}: ${message}`);
    return {
      status: 500,
      body: { Message: 'The request failed in the Durable host.', ExceptionMessage: message },
    };
  }
}
