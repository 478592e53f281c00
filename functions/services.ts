// The composition root: what the functions share, built on first use from the settings. Nothing here outlives the process,
// and nothing in memory decides anything: all state is in storage.
import type { InvocationContext } from '@azure/functions';
import * as df from 'durable-functions';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { parseVaultId } from '../lib/api/arm.ts';
import type { ApiContext } from '../lib/api/http.ts';
import type { CredentialChecks } from '../lib/auth/authenticate.ts';
import { RateLimiter } from '../lib/auth/rateLimit.ts';
import { systemClock } from '../lib/clock.ts';
import { noFaults } from '../lib/faults/points.ts';
import type { OutboundPort } from '../lib/plans/outbound.ts';
import type { OrchestrationClient } from '../lib/protection/orchestrations.ts';
import type { ScratchSpace } from '../lib/merge/scratch.ts';
import type { ReplicationContext } from '../lib/replication/context.ts';
import type { ComputeProvider } from '../lib/compute/port.ts';
import { azureStorage } from '../lib/storage/azure/index.ts';
import { versionedRows } from '../lib/storage/versionedRows.ts';
import { rowVersions } from '../lib/upgrade/rowVersions.ts';
import { upgradeState } from '../lib/upgrade/upgradeState.ts';
import { computeProvider } from './compute.ts';
import { credentialChecks } from './http/authentication.ts';
import { guardedOutbound } from './outbound.ts';
import { parseAllowedHosts } from './outboundGuard.ts';
import { scratchFolder } from './scratchFolder.ts';
import { readSettings } from './settings.ts';
import { telemetryFor } from './telemetry.ts';
import type { Settings } from './settings.ts';

type AzureStorage = ReturnType<typeof azureStorage>;

interface Services {
  settings: Settings;
  storage: AzureStorage;
  compute: ComputeProvider;
  credentials: CredentialChecks;
  outbound: OutboundPort;
  scratch: ScratchSpace;
}

let shared: Promise<Services> | undefined;
const limiter = new RateLimiter();

async function build(): Promise<Services> {
  const settings = readSettings(process.env);
  const { LIFEBOAT_STORAGE: connectionString, LIFEBOAT_STORAGE__accountName: accountName } = settings;
  const clientId = settings.LIFEBOAT_STORAGE__clientId;
  const raw = azureStorage(
    connectionString === undefined
      ? { accountName: accountName ?? '', ...(clientId === undefined ? {} : { clientId }) }
      : { connectionString },
  );
  await raw.ensureContainers();
  const storage = versionedRows(raw, rowVersions);
  await upgradeState({ storage, clock: systemClock, newId: randomUUID, fault: noFaults, log: console.log });
  const compute = computeProvider(settings, storage);
  const outbound = guardedOutbound(parseAllowedHosts(settings.LIFEBOAT_ACTION_HOSTS));
  const scratch = scratchFolder(tmpdir(), settings.LIFEBOAT_SCRATCH_MB * 2 ** 20);
  const credentials = credentialChecks(settings, storage.access);
  return { settings, storage, compute, outbound, scratch, credentials };
}

/** Settings and storage. A failed attempt (storage not reachable yet) is made again by the next call. */
export function services(): Promise<Services> {
  shared ??= build().catch((error: unknown) => {
    shared = undefined;
    throw error;
  });
  return shared;
}

/** What replication works with, logging into this invocation. */
export async function replicationContext(invocation: InvocationContext): Promise<ReplicationContext> {
  const { settings, storage, compute, outbound, scratch } = await services();
  return {
    outbound,
    storage,
    compute,
    clock: systemClock,
    newId: randomUUID,
    fault: noFaults,
    verify: settings.LIFEBOAT_VERIFY,
    testDueDays: settings.LIFEBOAT_TEST_FAILOVER_DUE_DAYS,
    scratch,
    log: (message) => invocation.log(message),
    telemetry: telemetryFor(invocation),
  };
}

/** The Durable client of this invocation; its function must have the durable client as an extra input. */
export function orchestrationClient(invocation: InvocationContext): OrchestrationClient {
  const client = df.getClient(invocation);
  return {
    async start(name, instanceId, input) {
      const status = await client.getStatus(instanceId).catch(() => undefined);
      if (status) return;
      await client.startNew(name, { instanceId, input });
    },
    async raiseEvent(instanceId, eventName) {
      const status = await client.getStatus(instanceId).catch(() => undefined);
      const isOpen =
        status?.runtimeStatus === df.OrchestrationRuntimeStatus.Running ||
        status?.runtimeStatus === df.OrchestrationRuntimeStatus.Pending;
      if (isOpen) await client.raiseEvent(instanceId, eventName, {});
    },
  };
}

export async function apiContext(invocation: InvocationContext): Promise<ApiContext> {
  const { settings, storage, credentials } = await services();
  return {
    replication: await replicationContext(invocation),
    orchestrations: orchestrationClient(invocation),
    signer: storage.signer,
    settings: {
      vault: parseVaultId(settings.LIFEBOAT_VAULT_ID),
      publicUrl: settings.LIFEBOAT_PUBLIC_URL.replace(/\/+$/, ''),
      uploadUrlMinutes: settings.LIFEBOAT_UPLOAD_URL_MINUTES,
      requestsPerSecond: settings.LIFEBOAT_REQUESTS_PER_SECOND,
    },
    access: storage.access,
    credentials,
    limiter,
  };
}
