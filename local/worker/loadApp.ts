// Loads a built v4-model app into this process and gives it back as a Worker.
// Order of the real worker: core module in place, entry points, appStart hooks, registrations locked,
// capabilities. At most one app per process: the app's libraries bind to the first core module they see.
import { basename } from 'node:path';
import { AppLoadError } from './appLoadError.ts';
import { CoreRegistry } from './coreApi.ts';
import { installCoreModule } from './coreModule.ts';
import { findEntryPoints, loadEntryPoint, readAppPackage } from './entryPoints.ts';
import { toLoadedFunction, toRpcMetadata } from './functionMetadata.ts';
import { InvocationPipeline } from './invocationPipeline.ts';
import { withLoopbackListeners } from './loopbackListeners.ts';
import type { HostLog, Worker } from './types.ts';

/** Versions the app sees; the newest ones whose behaviour is mimicked. */
const versions = { worker: '3.14.1', host: '4.1052.200' };

/** What the real worker announces. The app's library adds `HttpUri` when it streams HTTP. */
const workerCapabilities: Record<string, string> = {
  RawHttpBodyBytes: 'true',
  RpcHttpTriggerMetadataRemoved: 'true',
  RpcHttpBodyOnly: 'true',
  IgnoreEmptyValuedRpcHttpHeaders: 'true',
  UseNullableValueDictionaryForHttp: 'true',
  WorkerStatus: 'true',
  TypedDataCollection: 'true',
  HandlesWorkerTerminateMessage: 'true',
};

export interface LoadedApp extends Worker {
  /** Capabilities after the programming model had its say; `HttpUri` is where requests are streamed to. */
  readonly capabilities: Readonly<Record<string, string>>;
}

let hasLoaded = false;

/**
 * Loads the app of `appDirectory`. Environment variables the app reads at load must be set before.
 * Throws AppLoadError when an entry point fails, an appStart hook throws or no function is registered;
 * may be called once per process.
 */
export async function loadApp(options: { appDirectory: string; log: HostLog }): Promise<LoadedApp> {
  if (hasLoaded)
    throw new AppLoadError('An app has been loaded in this process before; start another process.');
  hasLoaded = true;
  const { appDirectory, log } = options;
  const core = new CoreRegistry(log);
  installCoreModule(core.toModule(versions));

  const appPackage = await readAppPackage(appDirectory);
  const entryPoints = await findEntryPoints(appDirectory, appPackage.main);
  for (const file of entryPoints) await loadEntryPoint(file, appPackage.type);
  await runAppStartHooks(core, appDirectory);
  core.lock();

  const model = core.programmingModel;
  if (model === undefined || core.registrations.size === 0) {
    throw new AppLoadError(
      `The app registered no function (loaded ${entryPoints.join(', ')}). It must call app.http(), app.timer(), … of ` +
        'the one installed copy of @azure/functions while it loads, and leave @azure/functions-core out of its bundle.',
    );
  }
  const capabilities = await withLoopbackListeners(async () =>
    model.getCapabilities?.({ ...workerCapabilities }),
  );
  const registrations = [...core.registrations.values()];
  const place = { directory: appDirectory, scriptFile: basename(entryPoints[0] ?? '') };
  const pipeline = new InvocationPipeline(core, model, (registration) => toRpcMetadata(registration, place));
  let terminated: Promise<void> | undefined;
  return {
    functions: registrations.map(toLoadedFunction),
    capabilities: capabilities ?? {},
    invoke: (invocation) => pipeline.invoke(invocation),
    terminate: () => (terminated ??= runAppTerminateHooks(core, appDirectory)),
  };
}

async function runAppStartHooks(core: CoreRegistry, functionAppDirectory: string): Promise<void> {
  const context = { hookData: {}, appHookData: core.appHookData, functionAppDirectory };
  try {
    for (const hook of core.hooks('appStart')) await hook(context);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new AppLoadError(`An appStart hook of the app failed: ${message}`, error);
  }
}

async function runAppTerminateHooks(core: CoreRegistry, functionAppDirectory: string): Promise<void> {
  const context = { hookData: {}, appHookData: core.appHookData, functionAppDirectory };
  for (const hook of core.hooks('appTerminate')) await hook(context);
}
