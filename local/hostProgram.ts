// One run of the host, from the parsed command line to the exit code: what ends it, and what is said about it.
// 0 stopped on request · 1 the app failed to load, or the host could not go on · 2 it could not start.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandLine } from './commandLine.ts';
import { type LocalHost, startLocalHost } from './localHost.ts';
import { type LogWriter, captureConsole } from './logWriter.ts';
import { openInspector } from './process/inspector.ts';
import { listenForSignals } from './process/signals.ts';
import { StartError, exitCodes, reasonOf } from './process/startError.ts';
import { watchParent } from './process/watchParent.ts';
import type { HostReport, WatcherRequest } from './watch/watchMessages.ts';
import { AppLoadError } from './worker/appLoadError.ts';

/** Runs until the host has stopped; returns the exit code. Call once per process. */
export async function runHost(commandLine: CommandLine, writer: LogWriter): Promise<number> {
  let resolveEnding: (exitCode: number) => void;
  const ending = new Promise<number>((resolve) => (resolveEnding = resolve));
  const end = (exitCode: number, level: 'information' | 'critical', why: string): void => {
    writer.log(level, 'Host.Shutdown', why);
    resolveEnding(exitCode);
  };
  listenForSignals((signal) => end(0, 'information', `${signal}: stopping…`));
  watchParent(() => end(0, 'information', 'The process that started this host has ended: stopping…'));
  listenToWatcher(() => end(0, 'information', 'Stopping…'));
  // The real worker ends on an error nobody caught, and so does this host: its state is unknown, its data is safe.
  process.on('uncaughtException', (error) =>
    end(exitCodes.appFailed, 'critical', `Uncaught error: ${error.stack ?? error.message}`),
  );
  captureConsole(writer.log);
  let host: LocalHost;
  try {
    openInspector(commandLine.inspectorPort);
    host = await startLocalHost({
      ...commandLine,
      azuriteEntryPoint: findAzuriteEntryPoint(),
      isDebugged: commandLine.inspectorPort !== undefined,
      writer,
      onStorageLost: (reason) => {
        report({ type: 'storageLost' });
        end(exitCodes.appFailed, 'critical', reason);
      },
    });
  } catch (error) {
    return reportStartFailure(error, commandLine.isJson ? writer : undefined);
  }
  report({ type: 'ready', port: Number(new URL(host.url).port) });
  if (commandLine.isJson) writer.log('information', 'Host.Startup', `Ready at ${host.url}`);
  else process.stdout.write(`${host.banner}\n`);
  const exitCode = await ending;
  await host.stop();
  return exitCode;
}

/** The Azurite process is built beside this program. */
function findAzuriteEntryPoint(): string {
  const entryPoint = join(dirname(fileURLToPath(import.meta.url)), 'azuriteProcess.mjs');
  if (!existsSync(entryPoint))
    throw new StartError(`${entryPoint} is missing. Build the programs again: npm run build.`);
  return entryPoint;
}

/** A watcher that is gone, however it ended, stops the host too. */
function listenToWatcher(onStop: () => void): void {
  if (process.send === undefined) return;
  process.on('message', (message: WatcherRequest | null) => {
    if (message?.type === 'stop') onStop();
  });
  process.once('disconnect', onStop);
}

function report(message: HostReport): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

/** People read the reason once, on stderr; who reads JSON finds it in the log as well. */
function reportStartFailure(error: unknown, jsonWriter: LogWriter | undefined): number {
  const isKnown = error instanceof StartError || error instanceof AppLoadError;
  const detail = error instanceof AppLoadError ? ownStack(error.cause) : isKnown ? '' : ownStack(error);
  jsonWriter?.log('critical', 'Host.Startup', reasonOf(error) + detail);
  process.stderr.write(`${reasonOf(error)}${detail}\n`);
  return error instanceof StartError ? error.exitCode : exitCodes.appFailed;
}

function ownStack(error: unknown): string {
  return error instanceof Error && error.stack !== undefined ? `\n${error.stack}` : '';
}
