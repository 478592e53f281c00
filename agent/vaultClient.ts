// The part of the ARM-compatible API that sets up and watches protection. Names and shapes are Site Recovery's; only
// what the source side and the demo read is typed here.
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { AgentError } from './agentError.ts';
import type { ServiceConnection } from './serviceConnection.ts';

const apiVersion = '2023-06-01';
const firstPollMs = 200;

const protectedItem = z.object({
  id: z.string(),
  properties: z.object({
    protectionState: z.string(),
    replicationHealth: z.string(),
    healthErrors: z.array(z.object({ errorCode: z.string(), errorMessage: z.string() })),
  }),
});
export type ProtectedItem = z.infer<typeof protectedItem>;

const recoveryPoint = z.object({
  name: z.string(),
  properties: z.object({
    recoveryPointTime: z.string(),
    recoveryPointType: z.string(),
    providerSpecificDetails: z.object({
      cycle: z.number(),
      recordedAt: z.string(),
      recoveryPointTimeSource: z.string(),
      disks: z.array(z.object({ diskId: z.string(), blobName: z.string(), snapshotId: z.string() })),
    }),
  }),
});
export type RecoveryPoint = z.infer<typeof recoveryPoint>;

const operation = z.object({
  status: z.string(),
  error: z.object({ code: z.string(), message: z.string() }).nullish(),
});

const namedResource = z.object({ name: z.string() });

/** Paths below a vault, and waiting for operations. */
export class VaultClient {
  readonly #connection: ServiceConnection;
  readonly #vaultPath: string;
  readonly #signal: AbortSignal | undefined;

  /** `vaultPath`: the ARM id of the vault that the service serves. */
  constructor(connection: ServiceConnection, vaultPath: string, signal?: AbortSignal) {
    this.#connection = connection;
    this.#vaultPath = vaultPath;
    this.#signal = signal;
  }

  /** The ARM id of what the segments name. */
  id(...segments: readonly string[]): string {
    return [this.#vaultPath, ...segments.map(encodeURIComponent)].join('/');
  }

  /** PUTs a resource and waits until the operation succeeded. Throws AgentError `OperationFailed` or `OperationTimedOut`. */
  async put(segments: readonly string[], properties: object, timeoutMs = 60_000): Promise<void> {
    const path = `${this.id(...segments)}?api-version=${apiVersion}`;
    const { headers } = await this.#connection.request('PUT', path, z.unknown(), { properties });
    const poll = headers.get('azure-asyncoperation');
    if (poll === null) return;
    const { pathname, search } = new URL(poll);
    const deadlineMs = Date.now() + timeoutMs;
    for (let pauseMs = firstPollMs; ; pauseMs = Math.min(2 * pauseMs, 2000)) {
      const { body } = await this.#connection.request('GET', pathname + search, operation);
      if (body.status === 'Succeeded') return;
      const what = `${segments.at(-2) ?? ''} ${segments.at(-1) ?? ''}`;
      if (body.status !== 'InProgress') {
        const reason = body.error ? `${body.error.code}: ${body.error.message}` : body.status;
        throw new AgentError(
          'OperationFailed',
          `Creating ${what} failed: ${reason}`,
          'See the job for its steps.',
        );
      }
      if (Date.now() >= deadlineMs) {
        const message = `Creating ${what} did not end within ${timeoutMs / 1000} s.`;
        throw new AgentError('OperationTimedOut', message, 'Look at the job, and at the log of the service.');
      }
      await sleep(pauseMs, undefined, this.#signal ? { signal: this.#signal } : {});
    }
  }

  /** Name of the fabric's one protection container. */
  async getContainer(fabric: string): Promise<string> {
    const path = this.id('replicationFabrics', fabric, 'replicationProtectionContainers');
    const { body } = await this.#connection.request(
      'GET',
      path,
      z.object({ value: z.array(namedResource).min(1) }),
    );
    return body.value[0]?.name ?? '';
  }

  /** `segments` name a protected item. */
  async getProtectedItem(segments: readonly string[]): Promise<ProtectedItem> {
    return (await this.#connection.request('GET', this.id(...segments), protectedItem)).body;
  }

  /** Newest first. */
  async listRecoveryPoints(segments: readonly string[]): Promise<RecoveryPoint[]> {
    const answer = z.object({ value: z.array(recoveryPoint) });
    return (await this.#connection.request('GET', this.id(...segments, 'recoveryPoints'), answer)).body.value;
  }
}
