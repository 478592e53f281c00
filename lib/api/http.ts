// Requests and answers as the API modules see them: no Functions types, so that all of it runs in plain tests.
import type { Caller } from '../auth/caller.ts';
import type { OrchestrationClient } from '../protection/orchestrations.ts';
import type { ReplicationContext } from '../replication/context.ts';
import type { UploadSigner } from '../storage/ports.ts';
import type { VaultName } from './arm.ts';

export interface ApiRequest {
  method: string;
  /** Path as sent, percent-encoded. */
  path: string;
  query: URLSearchParams;
  /** Keys in lower case. */
  headers: ReadonlyMap<string, string>;
  /** Reads the body as text; empty when there is none. */
  text: () => Promise<string>;
  /** Reads the body as it was sent, instead of as text. */
  bytes: () => Promise<Uint8Array>;
}

export interface ApiResponse {
  status: number;
  headers?: Record<string, string>;
  /** Sent as JSON; absent = empty body. */
  body?: unknown;
  /** Sent as they are, instead of a JSON body. */
  bytes?: Uint8Array;
}

export interface ApiSettings {
  /** The one vault that this app serves. */
  vault: VaultName;
  /** Bearer key of administrators and source hosts. */
  adminKey: string;
  /** Base of all URLs that answers carry, without trailing slash. */
  publicUrl: string;
  /** How long an upload URL is valid. */
  uploadUrlMinutes: number;
}

/** What every API module works with. */
export interface ApiContext {
  replication: ReplicationContext;
  orchestrations: OrchestrationClient;
  signer: UploadSigner;
  settings: ApiSettings;
}

/** A request whose route matched. */
export interface RoutedRequest {
  params: Readonly<Record<string, string>>;
  query: URLSearchParams;
  /** The parsed JSON body, checked by the handler's schema. `undefined` when the body is empty. */
  json: () => Promise<unknown>;
  /** The body as it was sent, instead of as JSON. */
  bytes: () => Promise<Uint8Array>;
  apiVersion: string;
  caller: Caller;
}

export type Handler = (context: ApiContext, request: RoutedRequest) => Promise<ApiResponse>;
