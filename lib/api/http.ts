// Requests and answers as the API modules see them: no Functions types, so that all of it runs in plain tests.
import type { CredentialChecks } from '../auth/authenticate.ts';
import type { Caller } from '../auth/caller.ts';
import type { RateLimiter } from '../auth/rateLimit.ts';
import type { OrchestrationClient } from '../protection/orchestrations.ts';
import type { ReplicationContext } from '../replication/context.ts';
import type { TablePort, UploadSigner } from '../storage/ports.ts';
import type { VaultName } from './arm.ts';

export interface ApiRequest {
  method: string;
  /** Path as sent, percent-encoded. */
  path: string;
  query: URLSearchParams;
  /** Keys in lower case. */
  headers: ReadonlyMap<string, string>;
  /** Address of the client as the platform reports it; for limits and the audit, never for decisions about access. */
  address: string;
  /** Reads the body as text, empty when there is none. Throws `RequestTooLarge` at the limit without reading on. */
  text: (limitBytes: number) => Promise<string>;
  /** The same as it was sent, instead of as text. One of the two is called, once. */
  bytes: (limitBytes: number) => Promise<Uint8Array>;
}

export interface ApiResponse {
  status: number;
  headers?: Record<string, string>;
  /** Sent as JSON, or as text when `content-type` says so; absent = empty body. */
  body?: unknown;
  /** Sent as they are, instead of a body. */
  bytes?: Uint8Array;
  /** Who the request turned out to be from, when only its body said so; for the audit, not sent. */
  caller?: Caller;
}

export interface ApiSettings {
  /** The one vault that this app serves. */
  vault: VaultName;
  /** Base of all URLs that answers carry, without trailing slash. */
  publicUrl: string;
  /** How long an upload URL is valid. */
  uploadUrlMinutes: number;
  /** Requests a second that one caller may send for long; a burst may have twenty times as many. */
  requestsPerSecond: number;
}

/** What every API module works with. */
export interface ApiContext {
  replication: ReplicationContext;
  orchestrations: OrchestrationClient;
  signer: UploadSigner;
  settings: ApiSettings;
  /** The table `access` of the storage. */
  access: TablePort;
  credentials: CredentialChecks;
  limiter: RateLimiter;
}

/** A request whose route matched and whose body has the operation's schema. */
export interface RoutedRequest {
  params: Readonly<Record<string, string>>;
  query: URLSearchParams;
  /** Path as sent. */
  path: string;
  /** The parsed JSON body. `undefined` when the body is empty. */
  json: () => Promise<unknown>;
  /** The body as it was sent, for operations that take no JSON (`isBinary`). */
  bytes: () => Promise<Uint8Array>;
  /** The body as the operation's schema made it; undefined for operations without one. */
  body: unknown;
  apiVersion: string;
  caller: Caller;
  /** Header If-Match, if there is one. */
  ifMatch: string | undefined;
}

export type Handler = (context: ApiContext, request: RoutedRequest) => Promise<ApiResponse>;
