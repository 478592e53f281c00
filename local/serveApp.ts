// Connects a loaded app to everything that triggers its functions, and opens the HTTP port to it.
// Invariant: nothing is served before all of it is ready, and Durable starts last.
import type { AzuriteChild } from './azurite/azuriteChild.ts';
import { drain } from './drain.ts';
import { DurableHost } from './durable/durableHost.ts';
import { toHostPaths, toRpcBaseUrl, toRpcPath } from './hostPaths.ts';
import { AdminApi } from './http/adminApi.ts';
import type { CorsPolicy } from './http/cors.ts';
import type { HostKeys } from './http/hostKeys.ts';
import type { HttpFrontDoor } from './http/httpFrontDoor.ts';
import { StreamingProxy } from './http/streamingProxy.ts';
import type { CleanUp } from './process/cleanUp.ts';
import { openRpcPort } from './rpcPort.ts';
import { resolveSettings } from './settings/appSettings.ts';
import type { HostConfig } from './settings/hostConfig.ts';
import { Triggers, durableTriggers } from './triggers.ts';
import type { LoadedApp } from './worker/loadApp.ts';
import { TrackedWorker } from './worker/trackedWorker.ts';
import type { HostLog } from './worker/types.ts';

export interface ServeAppOptions {
  app: LoadedApp;
  config: HostConfig;
  hostId: string;
  azurite: AzuriteChild;
  door: HttpFrontDoor;
  url: string;
  /** Undefined when the host asks for no keys. */
  keys: HostKeys | undefined;
  cors: CorsPolicy | undefined;
  isStrict: boolean;
  isDebugged: boolean;
  log: HostLog;
  /** Gets the step that lets running work end. */
  cleanUp: CleanUp;
}

/** Resolves when every trigger is served. Call once, when the app's settings are in the environment. */
export async function serveApp(options: ServeAppOptions): Promise<Triggers> {
  const { app, config, hostId, azurite, door, url, keys, log } = options;
  const environment = process.env;
  let durable: DurableHost | undefined;
  let rpcOrigin = url;
  const worker = new TrackedWorker({
    worker: app,
    log,
    timeoutMs: options.isDebugged ? undefined : config.functionTimeoutMs,
    provideInput: (bindingType) => (bindingType === 'durableClient' ? durable?.clientBinding() : undefined),
  });
  const triggers = new Triggers({
    ...{ worker, config, hostId, environment, log },
    reporting: { connectionString: azurite.endpoints.connectionString, watch: azurite.watch },
  });
  if (usesDurable(app)) {
    const { hubName, maxConcurrentActivities } = config.durableTask;
    durable = new DurableHost({
      ...{ worker, log, strict: options.isStrict },
      storageConnectionString: environment['AzureWebJobsStorage'] ?? azurite.endpoints.connectionString,
      hubName: resolveSettings(hubName, environment),
      publicBaseUrl: () => url,
      webhookKey: () => keys?.systemKey('durabletask_extension'),
      rpcBaseUrl: () => toRpcBaseUrl(rpcOrigin, keys),
      ...(maxConcurrentActivities === undefined ? {} : { maxConcurrentActivities }),
    });
    if (url.startsWith('https:')) {
      const rpcPort = await openRpcPort(toRpcPath(durable, keys), log);
      options.cleanUp.add('close the port of the Durable clients', rpcPort.close);
      rpcOrigin = rpcPort.origin;
    }
  }
  const httpUri = app.capabilities['HttpUri'];
  const admin = new AdminApi({
    hostId,
    functions: () => triggers.functions,
    publicBaseUrl: () => url,
    run: (loaded, input) => triggers.runNow(loaded, input),
  });
  options.cleanUp.add('let running work end', () => drain({ door, triggers, durable, worker, log }));
  await triggers.start();
  door.open({
    worker,
    routes: triggers.routes,
    extensions: toHostPaths({ admin, durable, blobs: triggers.blobs, keys }),
    streaming: httpUri === undefined ? undefined : new StreamingProxy(httpUri),
    keys,
    cors: options.cors,
  });
  // Last: recovered orchestrations run activities at once, and these may call this very host.
  await durable?.start();
  return triggers;
}

function usesDurable(app: LoadedApp): boolean {
  return app.functions.some(({ bindings }) =>
    bindings.some(({ type }) => type === 'durableClient' || durableTriggers.has(type)),
  );
}
