// Starts and stops everything in order. Invariant: whatever has been started when a step fails is stopped again in
// reverse order, and storage always last, so that nothing acknowledged is lost.
import { rm } from 'node:fs/promises';
import { startAzurite } from './azurite/azuriteChild.ts';
import { formatBanner } from './banner.ts';
import type { CorsPolicy } from './http/cors.ts';
import { openHostKeys } from './http/hostKeys.ts';
import { HttpFrontDoor } from './http/httpFrontDoor.ts';
import { writeLocalJson } from './localJson.ts';
import type { LogWriter } from './logWriter.ts';
import { CleanUp, withinMs } from './process/cleanUp.ts';
import { openDataDirectory } from './process/dataDirectory.ts';
import { acquireHostLock } from './process/hostLock.ts';
import { StartError, errnoOf, reasonOf } from './process/startError.ts';
import { readAppFiles } from './settings/appFiles.ts';
import { applySettings, toHostDefaults, toHostId } from './settings/appSettings.ts';
import { readOrCreateSecrets, toInfo } from './settings/localHostSection.ts';
import { openServerCertificate } from './tls/serverCertificate.ts';
import { loadApp } from './worker/loadApp.ts';
import { serveApp } from './serveApp.ts';

export interface LocalHostOptions {
  appDirectory: string;
  /** 0 lets the system choose. */
  port: number;
  /** Take the next free port when `port` is in use, instead of failing. */
  mayUseNextPort: boolean;
  dataDirectory: string;
  /** Serve TLS, with a certificate of the data directory. */
  usesTls: boolean;
  /** The built azuriteProcess. */
  azuriteEntryPoint: string;
  /** Fail orchestrations that are not deterministic, at the cost of replaying each episode twice. */
  isStrict: boolean;
  /** Ask for keys as Azure does; otherwise everything is anonymous. */
  asksForKeys: boolean;
  /** Undefined leaves it to the app's settings file. */
  cors: CorsPolicy | undefined;
  /** Somebody may stop at a breakpoint: no invocation times out. */
  isDebugged: boolean;
  writer: LogWriter;
  /** Called once when Azurite has ended by itself: the host cannot go on, and the caller calls `stop`. */
  onStorageLost: (reason: string) => void;
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
    throw describeFailure(options.dataDirectory, error);
  }
}

/** What the system refused below the data directory (a full disk, a folder in place of a file) is no error of the app. */
function describeFailure(dataDirectory: string, error: unknown): unknown {
  const { syscall, path } = (error ?? {}) as NodeJS.ErrnoException;
  const isFull = errnoOf(error) === 'ENOSPC' || errnoOf(error) === 'EDQUOT';
  // A failed write names no path.
  if (syscall === undefined || !(isFull || path?.startsWith(dataDirectory) === true)) return error;
  const advice = isFull
    ? 'Make room, or name a folder on another disk with --data-dir.'
    : 'Correct what is in the way, or name another folder with --data-dir.';
  return new StartError(`Cannot use the data directory ${dataDirectory}: ${reasonOf(error)}. ${advice}`, {
    cause: error,
  });
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
  const keys = options.asksForKeys ? await openHostKeys(directory.keysFile) : undefined;
  const tls = options.usesTls
    ? await openServerCertificate(directory.tls, new Date(), (message) =>
        writer.log('warning', 'Host.Startup', message),
      )
    : undefined;

  const door = new HttpFrontDoor(writer.log, tls);
  cleanUp.add('close the HTTP port', () => door.close());
  const port = await listen(door, options);
  const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;

  const azurite = await startAzurite({
    entryPoint: options.azuriteEntryPoint,
    directory,
    onSpawn: (pid) => lock.recordAzurite(pid),
    onUnexpectedExit: (reason) =>
      options.onStorageLost(`Azurite ended unexpectedly (${reason}); see azurite.log in ${directory.path}.`),
  });
  cleanUp.add('stop Azurite', () => azurite.stop());

  const { publicUrlSetting } = files.section;
  const storageConnectionString = azurite.endpoints.connectionString;
  applySettings(process.env, {
    fileValues: files.settings.values,
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
  const triggers = await serveApp({
    ...{ app, azurite, door, url, keys, cleanUp },
    config: files.config,
    hostId: toHostId(files.appPackage.name, process.env),
    cors: options.cors ?? files.settings.cors,
    isStrict: options.isStrict,
    isDebugged: options.isDebugged,
    log: writer.log,
  });
  cleanUp.add('remove local.json', () => rm(directory.localJsonFile, { force: true }));
  const { endpoints } = azurite;
  const info = toInfo(files.section, process.env);
  const caCertificate = tls?.authorityFile;
  await writeLocalJson(directory.localJsonFile, { url, endpoints, keys, caCertificate, info });
  const banner = formatBanner({
    url,
    appName: files.appPackage.name ?? 'The app',
    dataDirectory: directory.path,
    blobEndpoint: endpoints.blob,
    caCertificate,
    keysFile: keys === undefined ? undefined : directory.keysFile,
    functions: triggers.functions,
    routes: triggers.routes.routes,
  });
  return { url, banner };
}

async function listen(door: HttpFrontDoor, options: LocalHostOptions): Promise<number> {
  const port = await door.listen(options.port, { mayUseNext: options.mayUseNextPort });
  if (options.port !== 0 && port !== options.port) {
    const message = `Port ${options.port} is in use by another program; this host listens on ${port} instead.`;
    options.writer.log('warning', 'Host.Startup', message);
  }
  return port;
}
