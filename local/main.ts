// The program: parses the command line, runs the host, and maps what happens to exit codes.
// 0 stopped on request · 1 the app failed to load, or the host could not go on · 2 it could not start.
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { type LocalHost, startLocalHost } from './localHost.ts';
import { LogWriter, captureConsole } from './logWriter.ts';
import { StartError, exitCodes, reasonOf } from './process/startError.ts';
import { watchParent } from './process/watchParent.ts';
import { AppLoadError } from './worker/appLoadError.ts';

interface CommandLine {
  app: string;
  port: number;
  dataDir: string;
  json?: true;
  strict?: true;
}

/** npm passes a Ctrl-C on although the terminal has sent it already; a person needs longer for a second one. */
const secondSignalAfterMs = 700;

function parseCommandLine(argv: readonly string[]): CommandLine {
  const command = new Command('local-host')
    .description('Runs a built Azure Functions app on this machine, with its own storage emulator.')
    .requiredOption('--app <folder>', 'folder of the app (with host.json and package.json)')
    .option('--port <number>', 'port of 127.0.0.1; 0 chooses a free one', parsePort, 7071)
    .option('--data-dir <folder>', 'where data, ports and keys are kept', '.lifeboat')
    .option('--json', 'log JSON lines')
    .option(
      '--strict',
      'replay each orchestration episode twice and fail the ones that are not deterministic',
    )
    .allowExcessArguments(false)
    .exitOverride();
  return command.parse(argv).opts<CommandLine>();
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError('A port is a number from 0 to 65535.');
}

/** The Azurite process is built beside this program. */
function findAzuriteEntryPoint(): string {
  const entryPoint = join(dirname(fileURLToPath(import.meta.url)), 'azuriteProcess.mjs');
  if (!existsSync(entryPoint))
    throw new StartError(`${entryPoint} is missing. Build the programs again: npm run build.`);
  return entryPoint;
}

async function run(commandLine: CommandLine): Promise<number> {
  const isJson = commandLine.json === true;
  const writer = new LogWriter({ isJson, write: (line) => process.stdout.write(`${line}\n`) });
  let resolveEnding: (exitCode: number) => void;
  const ending = new Promise<number>((resolve) => (resolveEnding = resolve));
  const end = (exitCode: number, level: 'information' | 'critical', why: string): void => {
    writer.log(level, 'Host.Shutdown', why);
    resolveEnding(exitCode);
  };
  listenForSignals((signal) => end(0, 'information', `${signal}: stopping…`));
  watchParent(() => end(0, 'information', 'The process that started this host has ended: stopping…'));
  // The real worker ends on an error nobody caught, and so does this host: its state is unknown, its data is safe.
  process.on('uncaughtException', (error) =>
    end(exitCodes.appFailed, 'critical', `Uncaught error: ${error.stack ?? error.message}`),
  );
  captureConsole(writer.log);
  let host: LocalHost;
  try {
    const starting = startLocalHost({
      appDirectory: resolve(commandLine.app),
      port: commandLine.port,
      dataDirectory: resolve(commandLine.dataDir),
      azuriteEntryPoint: findAzuriteEntryPoint(),
      isStrict: commandLine.strict === true,
      writer,
      onFatal: (reason) => end(exitCodes.appFailed, 'critical', reason),
    });
    host = await starting;
  } catch (error) {
    return reportStartFailure(error, writer);
  }
  if (isJson) writer.log('information', 'Host.Startup', `Ready at ${host.url}`);
  else process.stdout.write(`${host.banner}\n`);
  const exitCode = await ending;
  await host.stop();
  return exitCode;
}

function reportStartFailure(error: unknown, writer: LogWriter): number {
  const isKnown = error instanceof StartError || error instanceof AppLoadError;
  const detail = error instanceof AppLoadError ? ownStack(error.cause) : isKnown ? '' : ownStack(error);
  writer.log('critical', 'Host.Startup', reasonOf(error) + detail);
  process.stderr.write(`${reasonOf(error)}\n`);
  return error instanceof StartError ? error.exitCode : exitCodes.appFailed;
}

function ownStack(error: unknown): string {
  return error instanceof Error && error.stack !== undefined ? `\n${error.stack}` : '';
}

function listenForSignals(onFirst: (signal: string) => void): void {
  let firstAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (firstAt === undefined) {
      firstAt = performance.now();
      onFirst(signal);
    } else if (performance.now() - firstAt > secondSignalAfterMs) {
      process.exit(130);
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
}

// Whoever reads the log may go away (`npm start | head`); the host goes on.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);
try {
  process.exit(await run(parseCommandLine(process.argv)));
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  // Commander has printed its message; --help ends with 0.
  process.exit(error.exitCode === 0 ? 0 : exitCodes.cannotStart);
}
