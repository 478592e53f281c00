// Starts and stops everything in order. Invariant: whatever has been started when a step fails is stopped again in
// reverse order, and storage always last, so that nothing acknowledged is lost.
import { rm } from 'node:fs/promises';
import { type AzuriteChild, startAzurite } from './azurite/azuriteChild.ts';
import { formatBanner } from './banner.ts';
import { drain } from './drain.ts';
import { DurableHost } from './durable/durableHost.ts';
import { AdminApi } from './http/adminApi.ts';
import { type HttpExtension, HttpFrontDoor } from './http/httpFrontDoor.ts';
import { StreamingProxy } from './http/streamingProxy.ts';
import { writeLocalJson } from './localJson.ts';
import type { LogWriter } from './logWriter.ts';
import { CleanUp, withinMs } from './process/cleanUp.ts';
import { openDataDirectory } from './process/dataDirectory.ts';
import { acquireHostLock } from './process/hostLock.ts';
import { type AppFiles, readAppFiles } from './settings/appFiles.ts';
import { applySettings, resolveSettings, toHostDefaults, toHostId } from './settings/appSettings.ts';
import { readOrCreateSecrets, toInfo } from './settings/localHostSection.ts';
import { Triggers, durableTriggers } from './triggers.ts';
import { type LoadedApp, loadApp } from './worker/loadApp.ts';
import { TrackedWorker } from './worker/trackedWorker.ts';

export interface LocalHostOptions {
  appDirectory: string;
  /** 0 lets the system choose. */
  port: number;
  dataDirectory: string;
  /** The built azuriteProcess. */
  azuriteEntryPoint: string;
  /** Fail orchestrations that are not deterministic, at the cost of replaying each episode twice. */
  isStrict: boolean;
  writer: LogWriter;
  /** Called once when the host cannot go on; the caller then calls `stop`. */
  onFatal: (reason: string) => void;
}

export interface LocalHost {
  url: string;
  banner: string;
  /** Refuses new work, lets running work end (bounded), and stops everything. May be called twice. */
  stop(): Promise<void>;
}

const terminateMs = 5_000;

/** Throws StartError or AppLoadError after it has stopped what it started. One host per process. */
export async function startLocalHost(options: LocalHostOptions): Promise<LocalHost> {
  const cleanUp = new CleanUp();
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= cleanUp.run(options.writer.log));
  try {
    const started = await start(options, cleanUp);
    return { ...started, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(options: LocalHostOptions, cleanUp: CleanUp): Promise<Omit<LocalHost, 'stop'>> {
  const { appDirectory, writer } = options;
  const files = await readAppFiles(appDirectory);
  writer.setLevels(files.config.logLevels);
  const directory = await openDataDirectory(options.dataDirectory);
  const lock = await acquireHostLock(directory.lockFile, (message) =>
    writer.log('information', 'Host.Startup', message),
  );
  cleanUp.add('release the lock', () => lock.release());
  await rm(directory.localJsonFile, { force: true });
  const secrets = await readOrCreateSecrets(directory.secretsFile, files.section.secrets);

  const door = new HttpFrontDoor(writer.log);
  cleanUp.add('close the HTTP port', () => door.close());
  const port = await door.listen(options.port);
  const url = `http://127.0.0.1:${port}`;

  const azurite = await startAzurite({
    entryPoint: options.azuriteEntryPoint,
    directory,
    onSpawn: (pid) => lock.recordAzurite(pid),
    onUnexpectedExit: (reason) =>
      options.onFatal(`Azurite ended unexpectedly (${reason}); see azurite.log in ${directory.path}.`),
  });
  cleanUp.add('stop Azurite', () => azurite.stop());

  const { publicUrlSetting } = files.section;
  const storageConnectionString = azurite.endpoints.connectionString;
  applySettings(process.env, {
    fileValues: files.fileValues,
    hostDefaults: {
      ...toHostDefaults({ appDirectory, storageConnectionString }),
      ...secrets,
      ...(publicUrlSetting === undefined ? {} : { [publicUrlSetting]: url }),
    },
    storageConnectionString,
  });
  // Always the port in use: the Durable client would call any other in vain.
  process.env['WEBSITE_HOSTNAME'] = `localhost:${port}`;
  process.chdir(appDirectory);
  const app = await loadApp({ appDirectory, log: writer.log });
  cleanUp.add('run the appTerminate hooks', () => withinMs(terminateMs, app.terminate()));
  const triggers = await serve({ options, files, azurite, app, door, url, cleanUp });
  cleanUp.add('remove local.json', () => rm(directory.localJsonFile, { force: true }));
  await writeLocalJson(directory.localJsonFile, url, azurite.endpoints, toInfo(files.section, process.env));
  const banner = formatBanner({
    url,
    appName: files.appPackage.name ?? 'The app',
    dataDirectory: directory.path,
    blobEndpoint: azurite.endpoints.blob,
    functions: triggers.functions,
    routes: triggers.routes.routes,
  });
  return { url, banner };
}

interface Parts {
  options: LocalHostOptions;
  files: AppFiles;
  azurite: AzuriteChild;
  app: LoadedApp;
  door: HttpFrontDoor;
  url: string;
  cleanUp: CleanUp;
}

/** Connects the loaded app to its triggers and opens the door. */
async function serve({ options, files, azurite, app, door, url, cleanUp }: Parts): Promise<Triggers> {
  const { log } = options.writer;
  const environment = process.env;
  const hostId = toHostId(files.appPackage.name, environment);
  let durable: DurableHost | undefined;
  const worker = new TrackedWorker({
    worker: app,
    log,
    provideInput: (bindingType) => (bindingType === 'durableClient' ? durable?.clientBinding() : undefined),
  });
  const triggers = new Triggers({
    ...{ worker, hostId, environment, log },
    config: files.config,
    reporting: { connectionString: azurite.endpoints.connectionString, watch: azurite.watch },
  });
  if (usesDurable(app)) {
    const { hubName, maxConcurrentActivities } = files.config.durableTask;
    durable = new DurableHost({
      ...{ worker, log, strict: options.isStrict },
      storageConnectionString: environment['AzureWebJobsStorage'] ?? azurite.endpoints.connectionString,
      hubName: resolveSettings(hubName, environment),
      publicBaseUrl: () => url,
      ...(maxConcurrentActivities === undefined ? {} : { maxConcurrentActivities }),
    });
  }
  const httpUri = app.capabilities['HttpUri'];
  const admin = new AdminApi({
    hostId,
    functions: () => triggers.functions,
    publicBaseUrl: () => url,
    run: (loaded, input) => triggers.runNow(loaded, input),
  });
  cleanUp.add('let running work end', () => drain({ door, triggers, durable, worker, log }));
  await triggers.start();
  const { blobs } = triggers;
  const extensions: HttpExtension[] = [
    async (request, response, path) =>
      isBelow(path, '/admin') && (await admin.handle(request, response, path), true),
    async (request, response) => (await durable?.handleHttp(request, response)) ?? false,
    async (request, response) => (await blobs?.handleHttp(request, response)) ?? false,
  ];
  door.open({
    worker,
    routes: triggers.routes,
    extensions,
    streaming: httpUri === undefined ? undefined : new StreamingProxy(httpUri),
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

function isBelow(path: string, folder: string): boolean {
  return path.toLowerCase() === folder || path.toLowerCase().startsWith(`${folder}/`);
}
